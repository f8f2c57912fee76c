"""Call notes as points in a space of words: short French texts, written in haste, with and without accents.

A note becomes weights of its words and pairs of words and of its letter groups (TF-IDF), reduced by a truncated singular
value decomposition (Deerwester et al. 1990). Letter groups catch inflections and typing errors, words what is said. A note
is as similar to a typology as it is to that typology's nearest examples.
"""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import hstack
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn brings it, without types

from fleet.registry import folded

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

# What every caller says, and what any matter needs: it tells no matter from another. Folded.
_TELL_NOTHING = """
    a ai ait alors au aucun aussi autre aux avec avoir bien bonjour bonsoir c ca car ce cela ces cette chez client clients comme
    d dans de des deux dis dites dire dit donc du elle en encore est et etait ete etre eu faire fais fait fois il ils j je l la
    le les leur lui ma madame mais me merci mes moi mon monsieur n ne non nos notre nous on ou oui par pas peu peut plus pour
    pouvez qu quand que qui quoi s sa sans se ses si soit son sont sur ta tes toi ton tout tous toute toutes tres tu un une va
    vais vas venir vers vont vos votre vous y allo cause depuis moment regarder attend attendent monde urgent semaine ralent
    deuxieme borne bornes terminal terminaux machine appareil agent appel explique signale indique demande voudrais voudrait
    affiche affichent veut veux besoin comment faut jusqu quel quelle
"""
STOP_WORDS: Final = frozenset(_TELL_NOTHING.split())
# Words of the trade that mean one thing, by how they begin; the thing is added to the note as a word of its own.
CONCEPTS: Final = {
    "reseau": ("reseau", "connexion", "connect", "deconnect", "internet", "ligne", "liaison", "box", "serveur"),
    "courant": ("courant", "electri", "lumiere", "edf", "disjonct", "noir"),
    "impression": ("imprim", "impression", "bourrage", "illisible", "efface"),
    "papier": ("papier", "rouleau"),
    "lecture": ("lecteur", "lecture", "lit", "lire", "scanner", "bulletin", "grille", "coupon"),
    "lenteur": ("lent", "ralenti", "rame", "long", "empire", "aggrave"),
    "redemarrage": ("redemar", "reboot", "relanc", "rallum", "plant", "boucle", "crash"),
    "blocage": ("fige", "bloqu", "gel", "tactile", "reagi", "repond"),
    "chaleur": ("chauff", "surchauff", "brul", "tempera", "ventil"),
    "heure": ("heure", "horloge"),
    "stockage": ("stockage", "espace", "disque", "enregistr", "sature"),
    "gain": ("gain", "gagn", "rapport", "paye", "paiement", "montant"),
    "refus": ("refus", "rejet", "impossible"),
    "radio": ("signal", "capt", "antenne", "barre", "decroch", "recept"),
    "coupure": ("coup", "saut", "micro", "instable"),
}
_WORD: Final = re.compile(r"[a-z0-9]+")
_WRITTEN: Final = re.compile(r"[^\W_]+")
# Dimensions kept; short notes of one trade need few.
_DIMENSIONS: Final = 160
# Beside words, letter groups count for so much.
_LETTERS_WEIGHT: Final = 0.7
# A note is compared with so many of a typology's nearest examples.
_NEAREST: Final = 2
_SEED: Final = 7
# Marks a thing of the trade among words.
_CONCEPT: Final = "="


def tokens(text: str) -> list[str]:
    """The words of a note that tell something, folded to plain lower case."""
    return [word for word in _WORD.findall(folded(text)) if word not in STOP_WORDS and (len(word) > 1 or word.isdigit())]


def concepts(words: Sequence[str]) -> list[str]:
    """The things of the trade that these words mean, each once."""
    return [thing for thing, beginnings in CONCEPTS.items() if any(word.startswith(beginnings) for word in words)]


class NoteSpace:
    """The space that a collection of notes spans; build it of all notes at hand, examples and new ones."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._words = TfidfVectorizer(analyzer=_words_and_pairs, sublinear_tf=True)
        self._letters = TfidfVectorizer(analyzer=_letter_groups, sublinear_tf=True, min_df=2 if len(texts) > 50 else 1)
        raw = self._raw(texts, fit=True)
        dimensions = min(_DIMENSIONS, min(raw.shape) - 1)
        self._svd = TruncatedSVD(dimensions, random_state=_SEED) if dimensions >= 2 else None
        if self._svd is not None:
            with _one_core():
                self._svd.fit(raw)

    def points(self, texts: Sequence[str]) -> F32:
        """One row per text (n, dimensions), of length 1, or less by the share of its words that the space does not know."""
        if not texts:
            return np.zeros((0, self._svd.n_components if self._svd else 1), np.float32)
        raw = self._raw(texts, fit=False)
        with _one_core():
            reduced = self._svd.transform(raw) if self._svd else raw.toarray()
        vocabulary = self._words.vocabulary_
        words = [tokens(text) for text in texts]
        known = [sum(word in vocabulary for word in each) / max(len(each), 1) for each in words]
        found: F32 = (normalize(reduced) * np.array(known)[:, None]).astype(np.float32)
        return found

    def terms(self, texts: Sequence[str], others: Sequence[str], *, most: int = 6) -> list[str]:
        """The words (and pairs) that these texts have and the others lack, the most telling first."""
        here = np.asarray(self._words.transform([" ".join(tokens(t)) for t in texts]).mean(axis=0)).ravel()
        there = np.asarray(self._words.transform([" ".join(tokens(t)) for t in others]).mean(axis=0)).ravel() if others else 0.0
        names = self._words.get_feature_names_out()
        order = np.argsort(-(here - there))
        spelt = _spelling(texts)
        told: list[str] = []
        for place in order[: 4 * most].tolist():
            name = str(names[place])
            # A pair says what its words say: one of them is enough.
            said = any(set(name.split()) & set(term.split()) for term in told)
            if here[place] > 0 and not name.startswith(_CONCEPT) and not said:
                told.append(name)
        return [" ".join(spelt.get(word, word) for word in term.split()) for term in told[:most]]

    def _raw(self, texts: Sequence[str], *, fit: bool) -> Any:
        cleaned = [" ".join(tokens(text)) for text in texts]
        words = self._words.fit_transform(cleaned) if fit else self._words.transform(cleaned)
        letters = self._letters.fit_transform(cleaned) if fit else self._letters.transform(cleaned)
        return hstack([words, _LETTERS_WEIGHT * letters]).tocsr()


def similarities(points: F32, examples: F32, labels: I64, count: int) -> F32:
    """How similar each point is to each typology (n, count): the mean cosine with its nearest examples, 0 where it has none."""
    return nearest_by_label(points @ examples.T, labels, count)


def without_itself(examples: F32, labels: I64, count: int) -> F32:
    """The same of the examples themselves, each compared with the others only."""
    cosine = examples @ examples.T
    np.fill_diagonal(cosine, -1.0)
    return nearest_by_label(cosine, labels, count)


def nearest_by_label(cosine: F32, labels: I64, count: int) -> F32:
    """Of each row's cosines with labelled examples, the mean of the best few of each label, not below 0."""
    found = np.zeros((len(cosine), count), np.float32)
    for label in range(count):
        of_label = cosine[:, labels == label]
        if of_label.shape[1]:
            best = np.sort(of_label, axis=1)[:, -_NEAREST:]
            found[:, label] = np.maximum(best, 0).mean(axis=1)
    return found


def _spelling(texts: Sequence[str]) -> dict[str, str]:
    """Of each folded word, how it is mostly written."""
    seen: dict[str, Counter[str]] = {}
    for text in texts:
        for word in _WRITTEN.findall(text.lower()):
            seen.setdefault(folded(word), Counter())[word] += 1
    return {word: written.most_common(1)[0][0] for word, written in seen.items()}


def _one_core() -> Any:
    """Small matrices: threads of the linear algebra would take the watch's cores, and cost ten times what they save."""
    return threadpool_limits(limits=1, user_api="blas")


def _words_and_pairs(text: str) -> list[str]:
    words = text.split()
    pairs = [f"{one} {other}" for one, other in itertools.pairwise(words)]
    return [*words, *(_CONCEPT + thing for thing in concepts(words)), *pairs]


def _letter_groups(text: str) -> list[str]:
    """Groups of three to five letters inside words, with their edges."""
    return [
        padded[start : start + size]
        for word in text.split()
        for padded in (f"_{word}_",)
        for size in (3, 4, 5)
        for start in range(len(padded) - size + 1)
    ]
