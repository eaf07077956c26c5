"""Wrong answers that nearly are right ones: none may pass, in either direction.

Written by hand against the comparison, class by class: each line is an answer and, behind ";;", answers that are not it. What the default
policy accepts on purpose although it looks like one of these stands in `ACCEPTED_ON_PURPOSE`, with the reason.
"""

from fractions import Fraction
from random import Random

import pytest

from verifiers.mathematics.equality.math_answer import equivalent

# decimals that are truncated, wrong in the last digit, too short, or the rounding of something else
ROUNDING = r"""
1/3 ;; 0.3334 ;; 0.33334 ;; 0.33
2/7 ;; 0.2858 ;; 0.28572
\pi ;; 3.1415 ;; 3.1417 ;; 3.14
\sqrt2 ;; 1.4143 ;; 1.41 ;; 1.4141
e ;; 2.7182 ;; 2.72
\frac{1}{16} ;; 0.0624 ;; 0.063
\frac{1}{8} ;; 0.1251 ;; 0.13
0.5 ;; 0.5001 ;; 0, 5
0.3333 ;; 0.3334 ;; 0.33333
1.4142 ;; 1.41421
2.5 ;; 2.4999
100/3 ;; 33.34 ;; 33.3
1000/3 ;; 333.3
10000/3 ;; 3333.3 ;; 3333.34
123456789/7 ;; 17636684.13
\sqrt{10} ;; 3.1622
\ln 2 ;; 0.6932 ;; 0.693
\sqrt3/2 ;; 0.8661
\frac{\sqrt{3}}{2} ;; 0.866
-\frac13 ;; 0.3333
\frac13 ;; -0.3333
\frac{1}{3000} ;; 0.0003 ;; 0.00034
\frac{22}{7} ;; 3.1416
\frac{355}{113} ;; 3.14159265
\sqrt[3]{2} ;; 1.2600
\frac{1+\sqrt5}{2} ;; 1.6181
\cos 20^\circ ;; 0.9396
\frac{2}{3} ;; 0.6666 ;; 0.66666 ;; 0.666
\frac{5}{6} ;; 0.8334
\frac{1}{7} ;; 0.1428
33\frac13\% ;; 0.34
33.33\% ;; 1/3
50 ;; 0.50
50\% ;; 0.005
5\% ;; 0.5
12 ;; 0.12 ;; 1.2
0.12 ;; 12
0.12\% ;; 12 ;; 12\%
1.5 ;; 1.5 \text{ thousand}
\frac12 ;; 1.2
7 ;; 7.0001 ;; 07.1
1000 ;; 1.000
0.1 ;; 0.10000000000000000001
\approx 3.14 ;; 3.15
\pi \approx 3.14 ;; 3.14
3.14 ;; \pi \approx 3.14
\log 100 ;; 2.1
0.\overline{3} ;; 0.3
0.\overline{9} ;; 0.9
0.333... ;; 0.333
0.12... ;; 0.12
1.000001 ;; 1
1.0000001 ;; 1
0.99999999 ;; 1
3.0000 ;; 3.0001
99999.99 ;; 100000
2.718281828 ;; e^{1.0001}
3.14159 ;; 3.14160
3.14159265 ;; 355/113
1.41421356 ;; 99/70
1.6180 ;; 1.61803
12.56 ;; 4\pi
12.57 ;; 4\pi+0.01
0.0123 ;; 1/81
0.01235 ;; 1/82
0.01234 ;; 1/81
0.577 ;; \frac{1}{\sqrt3}
57.735 ;; \frac{100}{\sqrt 3}+1
0.5773 ;; \frac{1}{\sqrt3}
0.7072 ;; \frac{\sqrt2}{2}
0.707 ;; \frac{\sqrt2}{2}
0.6667 ;; 0.666666
66.67\% ;; \frac{2}{3}\%
66.66\% ;; \frac{2}{3}
0.6667\% ;; \frac{2}{3}\cdot 10
0.66667 ;; 66.666\%
\$33.34 ;; \frac{100}{3}
\$33.3 ;; \frac{100}{3}
3.333 ;; \frac{100}{3}
333.33 ;; \frac{100}{3}
16.66 ;; \frac{50}{3}
16.68 ;; \frac{50}{3}
-0.6667 ;; \frac23
0.14286 ;; 1/7+10^{-4}
0.1429 ;; 0.142857
14.29 ;; \frac17
0.0714 ;; \frac1{14}
2.2360 ;; \sqrt5
4.4721 ;; 2\sqrt5+10^{-4}
4.4722 ;; 2\sqrt5
9.8695 ;; \pi^2
9.8697 ;; \pi^2
0.3678 ;; 1/e
0.3680 ;; 1/e
1.0986 ;; \ln 2
1.0987 ;; \ln 3
0.30102 ;; \log_{10} 2
0.3011 ;; \log_{10} 2
7.3891 ;; e^3
7.3890 ;; e^2
3/7 ;; 0.4285 ;; 0.4287
5/12 ;; 0.4166 ;; 0.417
7/9 ;; 0.7777
11/13 ;; 0.8461538461
1/97 ;; 0.0103 ;; 0.01030
2\sqrt{2} ;; 2.8285
\frac{\pi}{3} ;; 1.0471
60^\circ ;; 1.0473 ;; 1.05
"""

# an answer that says more, less or something else than the number
HEDGED = r"""
7 ;; 7, 8 ;; 7 or 8 ;; 7 \text{ and } 8 ;; 6 < 7 ;; 7 < 8 ;; 7=8 ;; 3+5 ;; 3=7 ;; 7! ;; 7\times10^1 ;; 77 ;; -7 ;; 7 \approx 8 ;; x ;; x+7
7 ;; 7x ;; 7^x ;; \sqrt{7} ;; |{-8}| ;; 7_8 ;; 7_{10}, 8 ;; -x=7 ;; x^2=7 ;; 1/x=7 ;; |x|=7 ;; \sqrt{x}=7 ;; x=7, x=8
7 ;; x=7 \text{ or } x=8 ;; \{7,8\} ;; x\in[7,7] ;; [7,7] ;; x \le 7 ;; x \geq 7, x\leq 7 ;; \pm 7 ;; \mp 7
7 ;; \lfloor x \rfloor = 7 ;; \text{the sum of 2 and 5} ;; 2+5=8 ;; 2+5=7=8 ;; x+5=12 ;; 7 \ne 8 ;; \neg 7 ;; 7' ;; 7^* ;; 7^0 ;; 7^{-1}
7 ;; 7_0 ;; \text{seventy} ;; \text{seven and a half} ;; seven hundred ;; 7 \times ;; \times 7 ;; /7 ;; 7/ ;; 7\%\% ;; 7e ;; 7i
7 ;; 7 \cdot i^2 ;; 0x7F ;; 7h ;; 7,000 ;; 7.000.000 ;; 7e1 ;; 7 000 ;; .7 ;; #7 ;; 7 & 8 ;; 7 | 8 ;; 7;8 ;; 7: 8 ;; 7 \to 8
7 ;; 7 \Rightarrow 8 ;; 7 \vee 8 ;; \boxed{7}\boxed{8} ;; \boxed{7}8 ;; 7\text{ or }8 ;; 7 \text{ if } x>0
7 ;; \begin{cases}7&x>0\\8&x\le0\end{cases} ;; \begin{cases}7&x>0\end{cases} ;; 7 \text{ when } n \text{ is even} ;; \text{If } n = 7
7 ;; 2x=14
3 ;; 3 \text{ or } 4 ;; \approx 4 ;; \approx 3.1 ;; \text{not } 3 ;; \text{at least } 3 ;; \ge 3 ;; > 3 ;; 3+ ;; 3 - ;; 3? ;; 3...
3 ;; 3\ldots
5 ;; 5 \text{ or more} ;; \text{between } 5 \text{ and } 6 ;; 5 \text{ to } 6 ;; 5-6 ;; 5\text{ not} ;; \text{not }5 ;; 5 \text{ is wrong}
5 ;; 5 wrong ;; 5 (or 6) ;; 5 \quad 6 ;; 5\\6 ;; 5 \text{ cm or } 6 \text{ cm} ;; 5 \text{ sixths} ;; 5 \text{ tenths} ;; 5 \text{ halves}
5 ;; 5 \text{ squared} ;; 5 hundred ;; 5 half
"""

# the question again instead of its answer
RESTATED = r"""
5050 ;; \sum_{i=1}^{100} i ;; \sum_{i=1}^{100}i + 0 ;; ∑_{i=1}^{100} i ;; \ｓｕｍ_{i=1}^{100} i ;; \displaystyle\sum\limits_{i=1}^{100} i
5050 ;; {\sum}_{i=1}^{100} i ;; \Sigma_{i=1}^{100} i
6 ;; \gcd(12,18) ;; \operatorname{gcd}(12,18) ;; \text{gcd}(12,18) ;; mcm(2,3) ;; \mathrm{lcm}(2,3)
2 ;; 17 \bmod 5 ;; 17 mod 5 ;; 17 \mod 5 ;; 17 \text{ mod } 5 ;; \max(1,2) ;; \max\{1,2\} ;; max(1,2)
120 ;; \prod_{k=1}^5 k ;; ∏_{k=1}^5 k
1/3 ;; \int_0^1 x^2 dx ;; ∫_0^1 x^2 dx
2x ;; \frac{d}{dx} x^2 ;; \frac{d}{dx}(x^2)
1 ;; \lim_{x\to0}\frac{\sin x}{x}
x ;; \frac{d}{d x} x^2
"""

# units, percent signs, angles and money
UNITS = r"""
1\% ;; 1\text{ cm}
100\% ;; 100\text{ dollars}
\$5 ;; 5\text{ cents} ;; 5\text{ cm}
5\text{ cents} ;; \$5
5\text{ m} ;; 5\text{ cm}
5\text{ m}^2 ;; 5\text{ m}
5\text{ km/h} ;; 5\text{ m/s}
5 cm ;; 5 cm^2
5 cm^2 ;; 5 cm^3
3 hours ;; 3 minutes ;; 3 days
1 km ;; 100 m
1 foot ;; 10 inches
1 kg ;; 1000 mg
90^\circ ;; \pi ;; \frac{\pi}{4}
1^\circ ;; 1\text{ rad}
\sin 30^\circ ;; \sin 30
20 ;; 20^\circ C \text{ to } 30
1 million ;; 1000 ;; 1
3 dozen ;; 3
\text{undefined} ;; 0
\text{yes} ;; \text{no}
30^\circ ;; 30\text{ radians}
\frac{\pi}{6} ;; 30^\circ C
2\text{ cm} ;; 2\text{ in}
1\text{ mile} ;; 1.6\text{ km}
1\text{ lb} ;; 1\text{ kg}
1\text{ year} ;; 365\text{ days}
10\% ;; 10^{-1}\%
\frac12\% ;; 50
200\% ;; 20
-50\% ;; 50
\tan 90^\circ ;; 0
2\sqrt{2} ;; 2.8284\text{ cm}^2 x
\frac{1}{3}\text{ m} ;; 33.34\text{ cm}
\frac13\text{ m} ;; 0.3333\text{ cm}
50 ;; 50\%\%
"""

# lists, tuples, sets, intervals, equations, names
STRUCTURES = r"""
1,2 ;; (1,2) ;; 2,1,1 ;; 1,2,3
1,2,3 ;; 1,2
(1,2) ;; [1,2]
[1,2] ;; (1,2) ;; [2,1]
[1,2) ;; (1,2]
\{1,2\} ;; \{1,2,3\} ;; [1,2] ;; (1,2)
\{0\} ;; \emptyset
\emptyset ;; 0 ;; \{\emptyset\}
no solution ;; 0 ;; no ;; one solution ;; all real numbers
infinitely many ;; \infty
infinitely many solutions ;; no solutions
\infty ;; -\infty ;; 1000000 ;; \frac10
2\pi n ;; \pi n, n \in \mathbb{Z}
3+4i ;; (3,4)
1/2 ;; 1, 2 ;; (1,2)
1:2 ;; 2:1 ;; 2 ;; 1,2
1:2:3 ;; 1:2
3:4 ;; 4:3
\pm 2 ;; -2
x=\pm2 ;; x=2
x=2 ;; y=2 ;; x=-2 ;; x\ne2 ;; x>2 ;; x\ge 2
x=2, y=3 ;; x=3, y=2
(x,y)=(2,3) ;; (y,x)=(2,3)
x>2 ;; x<2 ;; x\ge2 ;; 2 ;; y>2
1<x<2 ;; 1<x ;; 1\le x\le2 ;; 3<2x+1<5
x<1 or x>2 ;; 1<x<2 ;; 2x<2 or x>2
x<1\text{ or }x>2 ;; x<1\text{ and }x>2
(-\infty,1)\cup(2,\infty) ;; (-\infty,2)\cup(1,\infty) ;; (-\infty,1),(2,\infty)
\mathbb{R} ;; \mathbb{Q} ;; \mathbb{R}\setminus\{0\} ;; \mathbb{C}
\mathbb Z ;; \mathbb N
y=2x+1 ;; y=2x-1 ;; 2x-1 ;; y=x+1
x^2+y^2=1 ;; x^2-y^2=1
x^2+y^2=4 ;; x^2+y^2=2
x^2=4 ;; x=2
x+y=0 ;; x-y=0
A ;; A, B
12 ;; 1,2
1234 ;; 1,234,5 ;; (1,234) ;; 12,34
1,000 ;; 1
\begin{pmatrix}1&2\\3&4\end{pmatrix} ;; \begin{pmatrix}1&3\\2&4\end{pmatrix}
\begin{pmatrix}1\\2\end{pmatrix} ;; \begin{pmatrix}2\\1\end{pmatrix}
\begin{pmatrix}1&2\end{pmatrix} ;; 1,2
\begin{pmatrix}1&0\\0&1\end{pmatrix} ;; 1
(1,2,3) ;; (1,2) ;; (1,2,4)
(1,2),(3,4) ;; (1,4),(3,2) ;; 1,2,3,4
\{(1,2)\} ;; \{1,2\}
x\equiv 3\pmod 7 ;; x=3
f(x)=x ;; f(x)=2x ;; g(x)=x
f(x)=x^2 ;; x
f(x)=c ;; f(x)=x
f(x)=0 ;; f(x)=x
f(x)=x+c ;; f(x)=x
f(x)=kx ;; f(x)=x
0 ;; \infty-\infty
1 ;; \frac{\infty}{\infty}
x_1=1 ;; x_2=1
12:30 ;; 12:31 ;; 30:12
3:45 ;; 345
3:45 PM ;; 3:45 AM
\{x | x>2\} ;; \{x | x<2\} ;; x=2
\{x : x^2=4\} ;; 2
\{1,2\}\cup\{3\} ;; \{1,2\}
\{1,2\}\cap\{2\} ;; \{1\}
[0,1]\cup[1,2] ;; [0,1]
(0,2)\setminus\{1\} ;; (0,2)
\max(x,100) ;; 100
\min(x,-50) ;; -50
\begin{cases}x&x<1000\\0&x\ge1000\end{cases} ;; x
\begin{cases}x&x\ne 5\\0&x=5\end{cases} ;; x
\begin{cases}x&x>-1\\0&x\le-1\end{cases} ;; x
f(x)=cx \text{ for any constant } c ;; f(x)=x
f(x)=cx ;; f(x)=cx^2 ;; f(x)=x c^2
y=cx ;; y=kx
(1/3, 2) ;; (0.3334, 2) ;; (0.3333, 3)
(1/3,1) ;; (0.333, 1)
x=1/3 ;; x=0.3334
x>1/3 ;; x>0.3334
y=x/3 ;; y=0.3334x
\{1/3,2\} ;; \{0.3334,2\}
x=7 ;; x+5=12
x=5 ;; 2x+1=11 ;; x-5=0
x>5 ;; 2x+1>11
(5,\infty) ;; 2x+1>11
\{x|x>5\} ;; \{x|2x+1>11\}
4 ;; x^2=16
"""

# numbers, letters, words and functions
EXPRESSIONS = r"""
\pi ;; 3 ;; 22/7 ;; 355/113 ;; 180
10000/3 ;; 3333
12 ;; 1200 ;; 1 2 ;; 1\cdot2 ;; 12_8
\frac{\pi}{2} ;; 90
\sin 30 ;; \frac12
\{1\} ;; \{\{1\}\}
none ;; 0
x ;; y ;; X ;; \frac{x^2}{0} ;; \times
a ;; B
x+y ;; x-y
x^2 ;; 2x
2^x ;; x^2
k ;; n
ab ;; ba c
n ;; m
2k+1 ;; 2n
\pi k ;; 2\pi k
\pi n ;; \pi
k\pi ;; k ;; 2n\pi
C ;; \text{c and d} ;; 100
e ;; E ;; x
i ;; 1 ;; -i ;; j
\sqrt{-1} ;; 1 ;; -1
i^2 ;; 1
e^{i\pi} ;; 1
1+i ;; 1-i
|1+i| ;; 2
3+4i ;; 5
(1+i)^2 ;; 2
-1 ;; 1
-x ;; x
-2^2 ;; 4
(-2)^2 ;; -4
2^3 ;; 6
2^{-1} ;; -2
\frac{1}{2} ;; \frac{2}{1}
\frac12 ;; 12
1\frac12 ;; \frac12
2\frac13 ;; \frac23 ;; 23
2 1/3 ;; 2/3
\sqrt{4} ;; -2
\sqrt4 ;; \pm2
\pm2 ;; 2
\pm1\pm2 ;; 3
A ;; B ;; AB ;; (A)(B) ;; A or B ;; A) 5 or B) 6 ;; b
(A) ;; (B)
(A) 5 ;; (B) 5
B ;; 8
D ;; 500
true ;; false
odd ;; even
Alice ;; Bob
Monday ;; Tuesday
twelve ;; 13 ;; twenty
one hundred ;; 1000
10 ;; 10_2
10^{6} ;; 10^{-6}
10^6 ;; 106
10^{100} ;; 10^{101} ;; 10^{100}+1
10^{-100} ;; 0
2^{100} ;; 2^{99} ;; 1.2676506\times10^{30}
100! ;; 99! ;; 9.33\times10^{157}
1.5e3 ;; 1.5e4 ;; 15
6.02\times10^{23} ;; 6.03\times10^{23} ;; 6.02\times10^{22}
12345678901234567890 ;; 12345678901234567891
\frac{1}{10^{20}} ;; 0
\sin x ;; \cos x
\sin^2 x ;; \sin x^2
\sin^{-1}x ;; \frac1{\sin x}
\sin 2x ;; 2\sin x
\ln x ;; \log_{10} x
\ln x^2 ;; (\ln x)^2
\log_2 3 ;; \log_3 2
e^x ;; x^e ;; e^y
e^{2x} ;; 2e^x
\sqrt{x^2} ;; x ;; |x|^2
|x| ;; x ;; -x
\lfloor x\rfloor ;; x
\lceil 2.5\rceil ;; 2
\lfloor -2.5\rfloor ;; -2
\frac{x^2-1}{x-1} ;; x-1
(x+1)^2 ;; x^2+1
\sqrt{x+y} ;; \sqrt x+\sqrt y
\frac{1}{x+y} ;; \frac1x+\frac1y
\binom{5}{2} ;; \binom{5}{3}+1
\binom52 ;; \frac52
5! ;; 5
n! ;; n
(n+1)! ;; n!+1
(-1)^n ;; 1 ;; -1
\cos(n\pi) ;; 1
\sin(n\pi) ;; n
x\equiv 3\pmod 7 ;; x\equiv 4\pmod7 ;; 3
\frac{y}{x} ;; \frac{dy}{dx}
\frac{1}{x} ;; \frac d{dx}
0 ;; 0^0 ;; \frac{0}{0} ;; 1-1+1 ;; O ;; o
1 ;; \frac{0}{0} ;; I
2\sqrt3 ;; 3\sqrt2 ;; \sqrt{6}
\sqrt{12} ;; 3\sqrt2
\sqrt[3]{8} ;; \sqrt{8}
\sqrt[3]{-8} ;; 2
\frac{a}{b} ;; \frac{b}{a}
a-b ;; b-a
a/b/c ;; a/(b/c)
a_1 ;; a_2
x_1 ;; x
AB ;; BA
\overline{AB} ;; AB + 1
ABC ;; ACB
\triangle ABC ;; \triangle DEF
June 20 ;; June 21
May 5 ;; 5 May 6
\frac{3}{4}\pi ;; \frac{3}{4\pi}
\frac{\pi}{6} ;; 30
30 ;; \frac{\pi}{6}
|x-100| ;; 100-x
|x-5000| ;; 5000-x
\lfloor x/100 \rfloor ;; 0
\lceil x\rceil ;; \lfloor x\rfloor ;; \lfloor x\rfloor+1
\lfloor 2x\rfloor ;; 2\lfloor x\rfloor
\lfloor x\rfloor+\lfloor y\rfloor ;; \lfloor x+y\rfloor
|x|+|y| ;; |x+y|
|xy| ;; xy
\sqrt{x^4} ;; x
\sqrt{(x-10)^2} ;; 10-x
\sqrt{(x-100)^2} ;; 100-x
\sqrt{(x-1000)^2} ;; 1000-x
\frac{|x|}{x} ;; 1
x^{n} ;; x^{n+1}
n^2 ;; n^2+\sin(n\pi)+1
n \text{ for all integers } n ;; 2k \text{ for all integers } k
2k \text{ for all integers } k ;; 2
C+x ;; k+x
x+C ;; x+1
\frac{\pi}{2}+k\pi ;; \frac{\pi}{2}+2k\pi
\frac{\pi}{4}+n\pi ;; \frac{\pi}{4}+m\pi+1
2e ;; 2E
ei ;; ie+1
\mathbf i ;; 1
2+3i ;; 3+2i
\frac{1}{i} ;; i
\sqrt{-4} ;; 2
(-8)^{1/3} ;; 2
\sqrt{-2}\sqrt{-3} ;; \sqrt6
\ln(-1) ;; 0
\log_{1} 1 ;; 0
\log_{10} 100 ;; 3
\log x ;; \log_2 x
\sin^2 x+\cos^2 y ;; 1
\sin 90 ;; 1
\cos 60 ;; \frac12
\arcsin 1 ;; 90 ;; 1
\sin^{-1} 1 ;; \frac{1}{\sin 1}
\frac{1}{2}x ;; \frac{1}{2x}
1/2x ;; \frac{1}{2x}
1/2\pi ;; \frac{1}{2\pi}
2/3x ;; \frac{2}{3x}
2^3^2 ;; 64
2^{3^2} ;; 64
-3^2 ;; 9
x^2y ;; (xy)^2
x_1x_2 ;; x_1^2
x_{12} ;; x_1 2
1\frac{1}{2} ;; \frac{1}{2}
0.1\overline{6} ;; 0.\overline{16}
100000 ;; 100001
\frac{1}{3}x ;; 0.3333x
\frac{1}{3}+i ;; 0.3333+i
\frac{\pi}{3} ;; 60
\text{the sum of 2 and 5} ;; 7
E ;; e^1
l ;; 1
\alpha ;; a
\epsilon ;; \varepsilon
\phi ;; \varphi
\Delta ;; \delta
\Omega ;; \omega
"""

ACCEPTED_ON_PURPOSE = [
    ("e", "2.718", "the number, rounded to four digits"),
    (r"\frac17", "0.142857", "six digits of it, whatever the block"),
    ("7", r"0.7\times 10", "a product of two numbers is let through as a form"),
    (r"\frac{1}{2}\%", r"\frac12", "a percent sign may be missing on one side"),
    ("7", r"7^\circ", "a unit may be missing on one side"),
    ("7", "xy=7", "a name of two letters: x y = 7 says more than was asked, but the number is there"),
    (r"\log 100", r"\ln 100", "log without a base is read as either, where the other side writes ln"),
    ("7", "14:2", "a ratio of two numbers is their quotient"),
]


def pairs(table: str) -> list[tuple[str, str]]:
    rows = [[part.strip() for part in line.split(" ;; ")] for line in table.strip().splitlines()]
    return [(answer, wrong) for answer, *others in rows for wrong in others]


TABLES = {
    "rounding": ROUNDING,
    "hedged": HEDGED,
    "restated": RESTATED,
    "units": UNITS,
    "structures": STRUCTURES,
    "expressions": EXPRESSIONS,
}


@pytest.mark.parametrize("name", TABLES)
def test_no_wrong_answer_passes(name: str) -> None:
    found = pairs(TABLES[name])
    assert len(found) >= {"rounding": 100, "restated": 20, "units": 40}.get(name, 80)
    assert [pair for pair in found if equivalent(*pair)] == []
    assert [pair for pair in found if equivalent(*reversed(pair))] == []


@pytest.mark.parametrize(("gold", "answer", "reason"), ACCEPTED_ON_PURPOSE)
def test_accepted_on_purpose(gold: str, answer: str, reason: str) -> None:
    assert equivalent(gold, answer), reason
    assert equivalent(answer, gold), reason


def decimal(scaled: int, places: int) -> str:
    whole, part = divmod(abs(scaled), 10**places)
    return f"{'-' if scaled < 0 else ''}{whole}.{part:0{places}d}"


def test_of_all_decimals_only_the_rounding_of_a_fraction_stands_for_it() -> None:
    """By integer arithmetic: the nearest decimal of 4 or more significant digits passes; its neighbours, a truncation, 3 digits do not."""
    draw = Random(11)
    truncated = 0
    for _ in range(250):
        value = Fraction(draw.randint(1, 999), draw.choice((3, 7, 9, 11, 13, 17, 21, 37, 97)))
        if value.denominator == 1:
            continue
        places = draw.randint(4, 9)
        scaled = value * 10**places
        nearest, below = round(scaled), scaled.numerator // scaled.denominator
        gold = f"{value.numerator}/{value.denominator}"
        assert equivalent(gold, decimal(nearest, places)) is (nearest >= 1000), (gold, nearest, places)
        assert not equivalent(gold, decimal(nearest + 1, places))
        assert not equivalent(gold, decimal(nearest - 1, places))
        assert not equivalent(gold, decimal(-nearest, places))
        assert not equivalent(gold, decimal(round(value * 10), 1))
        if below != nearest:
            truncated += 1
            assert not equivalent(gold, decimal(below, places))
    assert truncated > 50
