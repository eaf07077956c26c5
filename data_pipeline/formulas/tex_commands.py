r"""The commands that LaTeX, AMS-LaTeX, MathJax and KaTeX know in mathematics; any other is private to the page that uses it.

Symbols come from `unicode_tex_table.py`; here is what makes structure, chooses fonts and sizes, or has a second name. A command of a
package that few pages load counts as known: only what nobody can read without the page's own definitions is private.
"""

import re

from data_pipeline.formulas.notations.unicode_tex_table import ACCENTS_OVER, ACCENTS_UNDER, BASE, EXTENDED

_NAMES = """
AA aa above abovewithdelims acute adots AE ae alef alefsym aleph allowbreak Alpha and angle angstrom approx arccos arccot arccsc arcctg
arcosh arcsec arcsin arctan arctg arg array arraycolsep arraystretch Arrowvert arrowvert arsinh artanh atop atopwithdelims backprime Bar
bar barwedge Bbb Bbbk bbox bcancel begin begingroup Beta beth bf bfseries bgroup Big big bigcap bigcirc bigcup bigcurlyvee bigcurlywedge
Bigg bigg Biggl biggl Biggm biggm Biggr biggr biginterleave Bigl bigl Bigm bigm bigodot bigoplus bigotimes bigparallel Bigr bigr bigskip
bigsqcap bigsqcup bigstar bigtriangledown bigtriangleup biguplus bigvee bigwedge binom blacklozenge blacksquare blacktriangle
blacktriangledown blacktriangleleft blacktriangleright bm bmod boldmath boldsymbol bot bowtie Box boxdot boxed boxminus boxplus boxtimes
Bra bra brace bracevert brack Braket braket breve buildrel bullet cal cancel cancelto cases cdotp cdots ce cellcolor celsius centerdot
centering cf cfrac ch check checkmark Chi chi choose circlearrowleft circlearrowright circledast circledcirc circleddash circledR circledS
class cline clubs clubsuit cnums colon colonapprox coloneq Coloneqq coloneqq color colorbox columncolor complement Complex cong coprod cos
cosec cosh cot cotg coth cr csc csch csname cssId ctg curlyvee curlywedge curvearrowleft curvearrowright dag Dagger daleth dashleftarrow
dashrightarrow dbinom dblcolon ddag ddddot dddot ddot ddots DeclareMathOperator DeclarePairedDelimiter def deg degree det dfrac diagdown
diagup Diamond diamonds diamondsuit differentialD Digamma digamma dim displaylimits displaylines displaystyle div divideontimes dot
dotplus dots dotsb dotsc dotsi dotsm dotso doublebarwedge doublecap doublecup downdownarrows downharpoonleft downharpoonright edef egroup
eject ell em emph empty emptyset enclose end endcsname endgroup enskip enspace ensuremath Epsilon eqalign eqalignno eqqcolon eqref equiv
Eta eth exist exists exp expandafter exponentialE fbox fcolorbox Finv flat flatfrac footnote footnotesize forall frac frak Game gcd gdef
ge genfrac gets gg gimel global grave gt gtrapprox gtrless hat hbar hbox hdashline hearts heartsuit hfil hfill hline hom hphantom href
hskip hslash hspace HTML html htmlClass htmlId htmlStyle Huge huge iddots idotsint iff ifmmode iiiint iiint iint Im image imaginaryI imath
impliedby implies in include includegraphics inf infin infty injlim int intercal intertext intop Iota isin it itshape jmath Join Kappa
KaTeX ker kern Ket ket koppa label land lang langle LARGE Large large LaTeX lBrace lbrace lbrack lceil ldotp ldots le leadsto left
leftarrow leftharpoondown leftharpoonup leftrightsquigarrow leftroot leftthreetimes leq leqalignno leqno lessgtr lesssim let lfloor lg
lgroup lhd lim liminf limits limsup llbracket llcorner Lleftarrow lmoustache ln lnot log long looparrowleft looparrowright lor lower
lowercase lozenge lparen lq lrcorner Lsh lt ltimes lVert lvert makebox maltese mapsto mathbb mathbbm mathbbmss mathbf mathbin mathbit
mathcal mathchoice mathclap mathclose mathds mathellipsis mathfrak mathinner mathit mathllap mathnormal mathop mathopen mathord mathpunct
mathrel mathring mathrlap mathrm mathscr mathsf mathstrut mathsurround mathtip mathtt matrix max mbox mdseries measuredangle medskip
medspace mho mid middle min minuso mit mkern mod models moveleft moveright mp mskip mspace Mu multicolumn multimap multirow nabla natnums
natural ne nearrow neg negmedspace negthickspace negthinspace neq newcommand newenvironment newline newtheorem nexists ngtr ni nicefrac
noalign nobreak nobreakspace noindent nolimits nonumber normalfont normalsize not notag notin npreceq nshortmid nshortparallel Nu nu null
numberwithin OE oe oiiint oiint oint ointctrclockwise oldstyle Omicron omicron operatorname operatornamewithlimits or over overbrace
overbracket overleftarrow overleftrightarrow overline overparen overrightarrow overset overwithdelims owns par parallel parbox partial
perp phantom Pi pi plim plusmn pm pmatrix pmb pmod pod Pr prec precapprox precsim prescript prime prod projlim propto protect
providecommand qed qquad quad raggedright raise raisebox rang rangle ratio rBrace rbrace rbrack rceil Re real reals ref relax Relbar
relbar renewcommand renewenvironment require restriction rfloor rgroup rhd Rho right rightarrow rightharpoondown rightharpoonup
rightsquigarrow rightthreetimes rlap rm rmfamily rmoustache rowcolor rparen rq rrbracket Rrightarrow Rsh rtimes rule rVert rvert sampi sb
sc scalebox scr scriptscriptstyle scriptsize scriptstyle sdot sec sech setlength setminus sf sffamily sfrac sh sharp shortmid
shortparallel shoveleft shoveright SI si sideset sin sinh skew skip sl slashed small smallfrown smallint smallmatrix smallsetminus
smallskip smallsmile smash sout sp space spades spadesuit sphericalangle sqint sqrt sqsubset sqsupset square ss stackrel star stigma strut
style sub subarray sube subset substack succapprox succsim sum sup supe supset surd swarrow tag tan tanh Tau tau tbinom TeX text
textasciicircum textasciitilde textbackslash textbf textbullet textcolor textdegree textgreater textit textless textmd textmu textnormal
textquotedblleft textquotedblright textquoteleft textquoteright textregistered textrm textsc textsf textsl textstyle textsubscript
textsuperscript texttt textunderscore textup tfrac tg th thetasym thickapprox thicksim thickspace thin thinspace tilde times tiny to
toggle tombstone top triangle triangledown triangleleft trianglelefteq triangleright trianglerighteq tripledash tt ttfamily
twoheadrightarrow ulcorner unboldmath underaccent underbar underbrace underbracket underleftarrow underleftrightarrow underline underparen
underrightarrow underset unicode unlhd unrhd unskip up upalpha upharpoonleft upharpoonright uppercase uproot upshape upuparrows urcorner
usepackage utilde varcoppa varDelta varGamma varinjlim varLambda varliminf varlimsup varnothing varointclockwise varOmega varPhi varPi
varprojlim varpropto varPsi varSigma varstigma varTheta vartriangle varUpsilon varXi vcentcolon vcenter vdots Vec vec vee veebar verb Vert
vert vfil vline vphantom vskip vspace wedge weierp widehat wideparen widetilde wp wr xcancel xdef xfrac xhookleftarrow xhookrightarrow
xLeftarrow xleftarrow xleftharpoondown xleftharpoonup xLeftrightarrow xleftrightarrow xleftrightharpoons xlongequal xmapsto xRightarrow
xrightarrow xrightharpoondown xrightharpoonup xrightleftharpoons xspace xtofrom xtwoheadleftarrow xtwoheadrightarrow xy yen Zeta zeta
"""
_COMMAND = re.compile(r"\\([A-Za-z@]{2,60}|[CFKNQRZ](?![A-Za-z]))")
_IN_TABLE = re.compile(r"\\([A-Za-z]+)")
KNOWN = frozenset(_NAMES.split()).union(
    *(_IN_TABLE.findall(str(spelling)) for table in (BASE, EXTENDED, ACCENTS_OVER, ACCENTS_UNDER) for spelling in table.values())
)
_DEFINITION = re.compile(r"\\(?:(?:re)?newcommand|providecommand|[gex]?def|let|DeclareMathOperator)(?![A-Za-z])")


def is_private(tex: str) -> bool:
    """Whether a formula uses a command that the page it comes from, or the converter that wrote it, must have defined."""
    if "\\" not in tex:
        return False
    return any(name not in KNOWN for name in _COMMAND.findall(tex)) and _DEFINITION.search(tex) is None
