"""The gate: whether a campaign may go on, judged by updated shops against those whose turn has not come.

Why its evidence can be believed, in the order of the modules:

**Own past** (`past`). A metric counts *marks*: at most one a shop and day. For what is rare (a crash, a call, a terminal gone
silent) any event is a mark; for what happens daily a mark is a day with more errors than all but one of the shop's last 28.
So a shop with bad terminals is compared with its own bad days, and a burst of a thousand errors is one mark.

**Who can still be counted** (`watching`). Waves are drawn by lot. If the update changes nothing at all (the sharp null), then
every shop's marks are what they would have been anyway, and the lot alone decides which of them fell on updated shops. Each
shop counts only by its *first* mark since its wave began: the moment that its arm becomes known. Of those without a mark so
far, T updated and C not, each is as likely as any other to be the next to matter, so the next mark is an updated shop's with
probability T/(T+C), whatever the shops are like: bad ones, bursts, neighbours in one outage, days that are bad for all, are all
allowed for, because nothing about them is assumed. (The lot is drawn within model × region × volume, each of which has its share of
every wave up to rounding. A cell that holds several of these then varies less than by one lot over all of it, not more.) This is
the risk set of the log-rank test, whose anytime-valid form is ter Schure, Pérez-Ortiz, Ly and Grünwald (arXiv 2011.06931). Counting
a shop's second mark would not do: who had one is likelier to have another, and whether the bad shops sit in the updated arm was
settled once, by the lot, not anew every day.

Shops that wait come back into the count when the next wave begins, and are then compared only with shops whose last mark is
as long ago (counted in waves): those are interchangeable again, by the lot of the wave that has just begun.

**Evidence** (`evidence`). A cell is a day (or less) of one stratum, with n first marks, x of them on updated shops. Given n, x is
hypergeometric. The binomial with p = T/(T+C) lies above it in convex order (Hoeffding, JASA 58, 1963, theorem 4), and the
likelihood ratio of θ against 1, θ^x / (1 + (θ-1) p)^n, is convex in x: its mean is 1 under the binomial and so at most 1 under the
truth. The product over cells is a supermartingale, so is its average over a grid of θ, and by Ville's inequality the chance that
it *ever* exceeds m/α is at most α/m: one may look as often as one likes (Lindon and Malek, arXiv 2011.03567; for software rollouts
Lindon, Sanden and Shirikian, arXiv 2205.14762).

**Promotion** (`judging`) is the same turned round: the odds of *unchanged* against *worse by the tolerated ratio*. Were the
release truly as bad, the odds would ever exceed K with chance 1/K at most. A wave waits until the odds suffice: information, not
only time.

What this rests on, and what it does not cover. Waves must be drawn by lot within strata. A shop counts as updated when its *wave
has begun*, whether or not its update went through: who updates promptly is not drawn by lot. Strata by past marks also carry most
of the comparison where the lot was not fair but followed what the past shows; exact it is then no more. A change that harms some
shops and spares the rest is seen by its mean. Between two updated waves nothing is compared.
"""
