"""The table of mathematical characters: what LaTeX with amsmath and amssymb calls each one, by class of atom.

`BASE` holds every character for which those packages have a command; its class decides spacing and limits. `EXTENDED` holds readable
spellings for characters that have none (`≉` as `\\not\\approx`, `≔` from mathtools): they are for text that a person typed in Unicode
and are not used inside MathML tokens, where a character without a command stays itself. ASCII is not listed, except what TeX must
escape. Pairs are separated by spaces; where two commands fit, the one that others write most stands here.
"""

_TABLE = {
    "rel": r"""
≤ \leq ≥ \geq ≠ \neq ≡ \equiv ∼ \sim ≃ \simeq ≈ \approx ≅ \cong ∝ \propto ≪ \ll ≫ \gg ≺ \prec ≻ \succ ⪯ \preceq ⪰ \succeq ⊂ \subset
⊃ \supset ⊆ \subseteq ⊇ \supseteq ⊑ \sqsubseteq ⊒ \sqsupseteq ∈ \in ∋ \ni ∉ \notin ⊢ \vdash ⊦ \vdash ∹ -: ⊣ \dashv
⊨ \vDash ⊧ \models ∣ \mid ∥ \parallel ∤ \nmid ∦ \nparallel ⟂ \perp ⋈ \bowtie ⌢ \frown ⌣ \smile ≍ \asymp ≐ \doteq ≑ \Doteq
≒ \fallingdotseq ≓ \risingdotseq ≗ \circeq ≖ \eqcirc ≜ \triangleq ≏ \bumpeq ≎ \Bumpeq ≊ \approxeq ∽ \backsim ⋍ \backsimeq ≂ \eqsim
≲ \lesssim ≳ \gtrsim ≶ \lessgtr ≷ \gtrless ⋚ \lesseqgtr ⋛ \gtreqless ≦ \leqq ≧ \geqq ⩽ \leqslant ⩾ \geqslant ⪅ \lessapprox
⪆ \gtrapprox ⪇ \lneq ⪈ \gneq ≨ \lneqq ≩ \gneqq ⪉ \lnapprox ⪊ \gnapprox ⋦ \lnsim ⋧ \gnsim ⪋ \lesseqqgtr ⪌ \gtreqqless ⪕ \eqslantless
⪖ \eqslantgtr ⋘ \lll ⋙ \ggg ⋖ \lessdot ⋗ \gtrdot ≼ \preccurlyeq ≽ \succcurlyeq ⋞ \curlyeqprec ⋟ \curlyeqsucc ≾ \precsim ≿ \succsim
⪷ \precapprox ⪸ \succapprox ⪹ \precnapprox ⪺ \succnapprox ⋨ \precnsim ⋩ \succnsim ⫅ \subseteqq ⫆ \supseteqq
⊊ \subsetneq ⊋ \supsetneq ⫋ \subsetneqq ⫌ \supsetneqq ⋐ \Subset ⋑ \Supset ⊲ \vartriangleleft ⊳ \vartriangleright ⊴ \trianglelefteq
⊵ \trianglerighteq ⋔ \pitchfork ∴ \therefore ∵ \because ≬ \between ⊩ \Vdash ⊪ \Vvdash ϶ \backepsilon ≮ \nless ≯ \ngtr ≰ \nleq
≱ \ngeq ⊀ \nprec ⊁ \nsucc ≁ \nsim ≇ \ncong ⊬ \nvdash ⊭ \nvDash ⊮ \nVdash ⊯ \nVDash ⊈ \nsubseteq ⊉ \nsupseteq ⋪ \ntriangleleft
⋫ \ntriangleright ⋬ \ntrianglelefteq ⋭ \ntrianglerighteq ⋠ \npreceq ⋡ \nsucceq
← \leftarrow → \rightarrow ↑ \uparrow ↓ \downarrow ↔ \leftrightarrow ↕ \updownarrow ↖ \nwarrow ↗ \nearrow ↘ \searrow ↙ \swarrow
⇐ \Leftarrow ⇒ \Rightarrow ⇑ \Uparrow ⇓ \Downarrow ⇔ \Leftrightarrow ⇕ \Updownarrow ↦ \mapsto ↩ \hookleftarrow ↪ \hookrightarrow
↼ \leftharpoonup ↽ \leftharpoondown ⇀ \rightharpoonup ⇁ \rightharpoondown ⇋ \leftrightharpoons ⇌ \rightleftharpoons ⟵ \longleftarrow
⟶ \longrightarrow ⟷ \longleftrightarrow ⟸ \Longleftarrow ⟹ \Longrightarrow ⟺ \Longleftrightarrow ⟼ \longmapsto ↚ \nleftarrow
↛ \nrightarrow ↮ \nleftrightarrow ⇍ \nLeftarrow ⇏ \nRightarrow ⇎ \nLeftrightarrow ↞ \twoheadleftarrow ↠ \twoheadrightarrow
↢ \leftarrowtail ↣ \rightarrowtail ↫ \looparrowleft ↬ \looparrowright ↭ \leftrightsquigarrow ⇝ \rightsquigarrow ↰ \Lsh ↱ \Rsh
↶ \curvearrowleft ↷ \curvearrowright ↺ \circlearrowleft ↻ \circlearrowright ⇇ \leftleftarrows ⇉ \rightrightarrows ⇈ \upuparrows
⇊ \downdownarrows ⇆ \leftrightarrows ⇄ \rightleftarrows ⇚ \Lleftarrow ⇛ \Rrightarrow ↾ \upharpoonright ↿ \upharpoonleft
⇂ \downharpoonright ⇃ \downharpoonleft ⊸ \multimap ∷ :: ⩴ ::= ⩵ == ⩶ ===
""",
    "bin": r"""
− - ± \pm ∓ \mp × \times ÷ \div ∗ \ast ⋆ \star ∘ \circ ∙ \bullet · \cdot ⋅ \cdot ∩ \cap ∪ \cup ⊎ \uplus ⊓ \sqcap ⊔ \sqcup ∨ \vee
∧ \land ∖ \smallsetminus ⧵ \setminus ≀ \wr ⋄ \diamond △ \bigtriangleup ▽ \bigtriangledown ◁ \lhd ▷ \rhd ⊕ \oplus
⊖ \ominus ⊗ \otimes ⊘ \oslash ⊙ \odot ⨿ \amalg † \dagger ‡ \ddagger ∔ \dotplus ⋉ \ltimes ⋊ \rtimes ⋋ \leftthreetimes
⋌ \rightthreetimes ⋎ \curlyvee ⋏ \curlywedge ⊝ \circleddash ⊛ \circledast ⊚ \circledcirc ⋒ \Cap ⋓ \Cup ⊼ \barwedge ⊻ \veebar
⩞ \doublebarwedge ⌅ \barwedge ⌆ \doublebarwedge ⊞ \boxplus ⊟ \boxminus ⊠ \boxtimes ⊡ \boxdot ⋇ \divideontimes ⊺ \intercal
• \bullet ⁎ \ast ⨯ \times ⬝ \centerdot
""",
    "op": r"""
∑ \sum ∏ \prod ∐ \coprod ∫ \int ∬ \iint ∭ \iiint ⨌ \iiiint ∮ \oint ⋂ \bigcap ⋃ \bigcup ⋁ \bigvee ⋀ \bigwedge ⨀ \bigodot ⨁ \bigoplus
⨂ \bigotimes ⨄ \biguplus ⨆ \bigsqcup
""",
    "open": r"⟨ \langle 〈 \langle ⌈ \lceil ⌊ \lfloor 〈 \langle",
    "close": r"⟩ \rangle 〉 \rangle ⌉ \rceil ⌋ \rfloor 〉 \rangle",
    "fence": r"‖ \|",
    "punct": r"… \ldots ⋯ \cdots ⋮ \vdots ⋱ \ddots",
    "accent": r"""
̀ \grave ́ \acute ̂ \hat ̃ \tilde ̄ \bar ̅ \overline ̆ \breve ̇ \dot ̈ \ddot ̊ \mathring ̌ \check ⃗ \vec ⃖ \overleftarrow ⃡ \overleftrightarrow
⃛ \dddot ⃜ \ddddot ̸ \not ⏞ \overbrace ⏟ \underbrace ̲ \underline
""",
    "ord": r"""
α \alpha β \beta γ \gamma δ \delta ε \varepsilon ϵ \epsilon ζ \zeta η \eta θ \theta ϑ \vartheta ι \iota κ \kappa λ \lambda μ \mu
ν \nu ξ \xi π \pi ϖ \varpi ρ \rho ϱ \varrho σ \sigma ς \varsigma τ \tau υ \upsilon φ \varphi ϕ \phi χ \chi ψ \psi ω \omega Γ \Gamma
Δ \Delta Θ \Theta Λ \Lambda Ξ \Xi Π \Pi Σ \Sigma Υ \Upsilon Φ \Phi Ψ \Psi Ω \Omega Ϝ \digamma ∂ \partial ∇ \nabla ∞ \infty
∀ \forall ∃ \exists ∄ \nexists ¬ \neg ⊤ \top ⊥ \bot ∅ \varnothing ⌀ \varnothing ∆ \mathrm{\Delta} ⋿ \mathsf{E} ∠ \angle ∡
\measuredangle ∢ \sphericalangle ℓ \ell ℘ \wp ℜ \Re
ℑ \Im ℵ \aleph ℶ \beth ℷ \gimel ℸ \daleth ℏ \hslash ℎ h ð \eth ∁ \complement ′ ' ″ '' ‴ ''' ‵ \backprime ♠ \spadesuit
♡ \heartsuit ♢ \diamondsuit ♣ \clubsuit ♭ \flat ♮ \natural ♯ \sharp □ \square ■ \blacksquare ◻ \square ◼ \blacksquare ∎ \blacksquare
 ▵ \vartriangle ▿ \triangledown
 ◃ \triangleleft ▹ \triangleright ◊ \lozenge ⬨ \lozenge ⧫ \blacklozenge ⬧ \blacklozenge ◎ \circledcirc ◇ \Diamond ★ \bigstar
 ° {^\circ} ˆ \hat{} ı \imath ȷ \jmath 𝚤 \imath 𝚥 \jmath ⅁ \Game Ⅎ \Finv ϒ \mathrm{\Upsilon} K K Å \mathring{\mathrm{A}}
Ω \mathrm{\Omega} ‼ !! ⁇ ?? ⁒ ./. ⁄ / ∕ \slash ∶ : £ \pounds “ `` ” "
""",
}  # fmt: skip

_EXTENDED = r"""
≉ \not\approx ≢ \not\equiv ⊄ \not\subset ⊅ \not\supset ∌ \not\ni ≄ \not\simeq ≭ \not\asymp ⋢ \not\sqsubseteq ⋣ \not\sqsupseteq
≴ \not\lesssim ≵ \not\gtrsim ≸ \not\lessgtr ≹ \not\gtrless ≔ \coloneqq ≕ \eqqcolon ≝ \overset{\mathrm{def}}{=} ≟ \overset{?}{=}
≙ \overset{\wedge}{=} ∯ \oiint ∰ \oiiint ℧ \mho ħ \hbar ⌜ \ulcorner ⌝ \urcorner ⌞ \llcorner ⌟ \lrcorner ⎰ \lmoustache ⎱ \rmoustache ⟮
\lgroup ⟯ \rgroup ▪ \blacksquare ▲ \blacktriangle
▴ \blacktriangle ▼ \blacktriangledown ▾ \blacktriangledown ◂ \blacktriangleleft ▸ \blacktriangleright ✓ \checkmark ✠ \maltese
® \circledR Ⓢ \circledS ¥ \yen § \S ¶ \P ╱ \diagup ╲ \diagdown ⪵ \precneqq ⪶ \succneqq ϝ \digamma ⁗ '''' ⊏ \sqsubset ⊐ \sqsupset ⟦
\llbracket ⟧ \rrbracket ⟪ \langle\!\langle
⟫ \rangle\!\rangle ↯ \lightning ⇠ \dashleftarrow ⇢ \dashrightarrow ↝ \leadsto ⇾ \rightarrow ≛ \overset{*}{=}
½ \frac{1}{2} ⅓ \frac{1}{3} ⅔ \frac{2}{3} ¼ \frac{1}{4} ¾ \frac{3}{4} ⅕ \frac{1}{5} ⅖ \frac{2}{5} ⅗ \frac{3}{5} ⅘ \frac{4}{5}
⅙ \frac{1}{6} ⅚ \frac{5}{6} ⅐ \frac{1}{7} ⅛ \frac{1}{8} ⅜ \frac{3}{8} ⅝ \frac{5}{8} ⅞ \frac{7}{8} ⅑ \frac{1}{9} ⅒ \frac{1}{10}
ⅆ \mathrm{d} ⅇ \mathrm{e} ⅈ \mathrm{i} ⅉ \mathrm{j} ⅅ \mathrm{D} µ \mu ∊ \in ⟘ \bot ⟙ \top Α A Β B Ε E Ζ Z
Η H Ι I Κ K Μ M Ν N Ο O Ρ P Τ T Χ X ο o ‥ .. ⦃ \{ ⦄ \} ⟬ ( ⟭ ) ∎ \blacksquare ‐ - ‑ - – - ‗ =
"""


def _pairs(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


BASE: dict[str, tuple[str, str]] = {char: (tex, kind) for kind, text in _TABLE.items() for char, tex in _pairs(text).items()}
"""Character -> (TeX, class)."""
EXTENDED: dict[str, str] = _pairs(_EXTENDED)
"""Characters without a command of their own -> a spelling that is not one symbol."""

SPACES = {
    "\u00a0": "~", "\u2000": "\\enspace ", "\u2001": "\\quad", "\u2002": "\\enspace ", "\u2003": "\\quad", "\u2004": "\\;", "\u2005": "\\:",
    "\u2006": "\\,", "\u2007": "~", "\u2008": "\\,", "\u2009": "\\,", "\u200a": "\\,", "\u202f": "\\,", "\u205f": "\\:", "\u3000": "\\quad",
}  # fmt: skip
"""Space characters."""

INVISIBLE = frozenset("\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad\u2028\u2029\ufe0e\ufe0f\ufe00\ufe01\ufe02")
"""Characters that print nothing: function application, invisible times, joiners, marks, variation selectors."""

ESCAPED = {"#": "\\#", "$": "\\$", "%": "\\%", "&": "\\&", "_": "\\_", "{": "\\{", "}": "\\}", "~": "\\sim", "^": "\\hat{}",
           "\\": "\\backslash", " ": "\\ ", "\n": " ", "\t": " ", "[": "\\lbrack", "]": "\\rbrack"}  # fmt: skip
"""ASCII inside formulas."""

RADICALS = {"√": "\\sqrt", "∛": "\\sqrt[3]", "∜": "\\sqrt[4]"}

ACCENTS_OVER = {
    "´": "\\acute", "\u0301": "\\acute", "`": "\\grave", "\u0300": "\\grave", "˘": "\\breve", "\u0306": "\\breve", "ˇ": "\\check",
    "\u030c": "\\check", "\u0307": "\\dot", "\u0308": "\\ddot", "\u20db": "\\dddot", "\u20dc": "\\ddddot", "°": "\\mathring",
    "\u030a": "\\mathring", "\u20d7": "\\vec", "\u20d6": "\\overleftarrow", "\u20e1": "\\overleftrightarrow", "^": "\\hat",
    "\u0302": "\\widehat", "ˆ": "\\widehat", "\u0303": "\\widetilde", "˜": "\\widetilde", "‾": "\\bar", "\u0304": "\\bar",
    "¯": "\\overline",
    "\u0305": "\\overline", "⏞": "\\overbrace", "\ufe37": "\\overbrace", "⎴": "\\overbracket",
}  # fmt: skip
ACCENTS_UNDER = {
    "⏟": "\\underbrace", "\ufe38": "\\underbrace", "⎵": "\\underbracket", "\u0332": "\\underline", "_": "\\underline",
    "\u0333": "\\underline",
}  # fmt: skip
