"""What an agent reads aloud to a shopkeeper during an incident, and does next; French and English."""

from collections.abc import Mapping
from typing import Final

from diagnostics.troubles import Trouble
from diagnostics.typography import in_language, typeset

# What an agent reads aloud, then does.
_SPOKEN: Final[Mapping[Trouble, Mapping[str, str]]] = {
    Trouble.OFFLINE: {
        "fr": "Votre terminal n'est plus relié à nous. D'autres points de vente sont dans le même cas : ce n'est pas votre "
        "matériel. "
        "Nous suivons la panne d'ici.",
        "en": "Your terminal is no longer connected to us. Other shops are in the same case: it is not your equipment. "
        "We are following the outage from here.",
    },
    Trouble.NETWORK: {
        "fr": "Le réseau qui relie votre terminal est perturbé : des paris peuvent être lents ou ne pas passer. "
        "D'autres points de vente sont touchés, nous le suivons d'ici.",
        "en": "The network that connects your terminal is disturbed: bets may be slow or fail. "
        "Other shops are hit too, and we are following it from here.",
    },
    Trouble.RADIO: {
        "fr": "Le signal radio de votre terminal est faible en ce moment, comme chez d'autres points de vente. "
        "Les paris peuvent être plus lents.",
        "en": "The radio signal of your terminal is weak at the moment, as it is for other shops. Bets may be slower.",
    },
    Trouble.HEAT: {
        "fr": "Votre terminal chauffe trop. Dégagez ses aérations et éloignez-le du soleil ou d'un radiateur : "
        "il pourrait ralentir ou s'arrêter.",
        "en": "Your terminal is getting too hot. Please clear its vents and keep it away from the sun or a heater: "
        "it might slow down or stop.",
    },
    Trouble.DISK: {
        "fr": "L'espace de stockage de votre terminal se remplit. Vous pouvez continuer à vendre : cela se traite à distance.",
        "en": "The storage of your terminal is filling up. You can go on selling: it is dealt with from here.",
    },
    Trouble.MEMORY: {
        "fr": "Votre terminal manque peu à peu de mémoire : il peut devenir lent, puis redémarrer seul. "
        "D'autres points de vente sont dans le même cas : ce n'est pas votre installation.",
        "en": "Your terminal is slowly running out of memory: it may become slow, then restart by itself. "
        "Other shops are in the same case: it is not your installation.",
    },
    Trouble.CLOCK: {
        "fr": "L'horloge de votre terminal n'est plus à l'heure. Vous n'avez rien à régler : cela se traite à distance.",
        "en": "The clock of your terminal is wrong. There is nothing for you to set: it is dealt with from here.",
    },
    Trouble.CRASHES: {
        "fr": "L'application de votre terminal s'arrête et repart d'elle-même. D'autres points de vente sont touchés, "
        "nous le suivons d'ici. Avant de refaire un pari, vérifiez que le ticket n'est pas déjà sorti.",
        "en": "The application of your terminal stops and starts again by itself. Other shops are hit too, "
        "and we are following it from here. Before you make a bet again, check that its ticket has not come out already.",
    },
    Trouble.TX_FAILING: {
        "fr": "Des paris ne passent pas en ce moment, et ce n'est pas votre terminal : d'autres points de vente sont touchés. "
        "Avant de refaire un pari, vérifiez que le ticket n'est pas déjà sorti.",
        "en": "Bets are failing at the moment, and it is not your terminal: other shops are hit too. "
        "Before you make a bet again, check that its ticket has not come out already.",
    },
    Trouble.TX_SLOW: {
        "fr": "Les paris mettent plus de temps que d'habitude à passer. Attendez bien la réponse avant d'en refaire un : "
        "nous suivons cela d'ici.",
        "en": "Bets take longer than usual to go through. Please wait for the answer before you make one again: "
        "we are following it from here.",
    },
    Trouble.PRINTER: {
        "fr": "L'imprimante de votre terminal a des ratés, comme chez d'autres points de vente. "
        "Vérifiez que le rouleau est bien en place et que le capot est fermé.",
        "en": "The printer of your terminal is failing, as it is for other shops. "
        "Please check that the roll is in place and that the cover is shut.",
    },
    Trouble.SCANNER: {
        "fr": "Votre terminal lit mal les bulletins, comme chez d'autres points de vente. Essuyez la vitre du lecteur avec un "
        "chiffon sec ; "
        "en attendant, saisissez les paris à l'écran.",
        "en": "Your terminal reads slips badly, as it does for other shops. Please wipe the glass of the reader with a dry cloth; "
        "meanwhile, enter bets on the screen.",
    },
    Trouble.PAPER: {
        "fr": "Votre terminal n'a plus de papier. Mettez un rouleau neuf et fermez bien le capot.",
        "en": "Your terminal is out of paper. Please put in a new roll and shut the cover.",
    },
    Trouble.NO_SALES: {
        "fr": "Votre terminal est allumé et relié à nous, mais il ne vend plus. D'autres points de vente sont touchés. "
        "Redémarrez-le une fois, en dehors d'un départ de course.",
        "en": "Your terminal is on and connected to us, but it sells nothing. Other shops are hit too. "
        "Please restart it once, not just before a race.",
    },
    Trouble.CALLS: {
        "fr": "Plusieurs points de vente nous appellent en ce moment, et vos terminaux nous répondent bien. "
        "Dites-moi précisément ce que vous voyez : c'est ce qui nous fera trouver la cause.",
        "en": "Several shops are ringing us at the moment, and your terminals answer us well. "
        "Tell me exactly what you see: that is how we shall find the cause.",
    },
}
_NEXT: Final[Mapping[Trouble, Mapping[str, str]]] = {
    Trouble.OFFLINE: {
        "fr": "Demandez si le courant est coupé. Si oui, attendez son retour ; sinon, un seul redémarrage de la box ou du "
        "routeur, pas plus.",
        "en": "Ask whether the power is cut. If so, wait until it is back; if not, have the router restarted once, no more.",
    },
    Trouble.NETWORK: {
        "fr": "Ne faites rien débrancher. Rattachez l'appel à l'incident ; le rétablissement se verra ici.",
        "en": "Have nothing unplugged. Attach the call to the incident; recovery will show here.",
    },
    Trouble.RADIO: {
        "fr": "Faites vérifier que l'antenne n'a été ni déplacée ni couverte. Sinon, attendez le rétablissement.",
        "en": "Have the shopkeeper check that the aerial was neither moved nor covered. Otherwise wait for recovery.",
    },
    Trouble.HEAT: {
        "fr": "Si la température ne baisse pas en une demi-heure, passez l'appel au niveau 2.",
        "en": "If the temperature has not fallen within half an hour, pass the call to level 2.",
    },
    Trouble.DISK: {
        "fr": "Rien à faire sur place. Ne faites pas redémarrer le terminal.",
        "en": "Nothing to do in the shop. Do not have the terminal restarted.",
    },
    Trouble.MEMORY: {
        "fr": "Si le terminal est déjà lent, proposez un redémarrage à un moment calme, en dehors d'un départ de course.",
        "en": "If the terminal is slow already, suggest a restart at a quiet moment, not just before a race.",
    },
    Trouble.CLOCK: {
        "fr": "Si des paris sont refusés, passez l'appel au niveau 2 pour une mise à l'heure.",
        "en": "If bets are refused, pass the call to level 2 to have the clock set.",
    },
    Trouble.CRASHES: {
        "fr": "Ne proposez pas d'échange de terminal : attendez le correctif. Si le terminal ne repart pas, passez l'appel au "
        "niveau 2.",
        "en": "Do not offer another terminal: wait for the correction. If the terminal does not start again, pass the call to "
        "level 2.",
    },
    Trouble.TX_FAILING: {
        "fr": "Ne faites pas redémarrer le terminal. Si un pari est contesté, notez l'heure et le montant.",
        "en": "Do not have the terminal restarted. If a bet is disputed, note its time and amount.",
    },
    Trouble.TX_SLOW: {
        "fr": "Ne faites pas redémarrer le terminal. Rattachez l'appel à l'incident.",
        "en": "Do not have the terminal restarted. Attach the call to the incident.",
    },
    Trouble.PRINTER: {
        "fr": "Si un ticket est illisible, faites-le réimprimer. Si la panne continue, passez l'appel au niveau 2 sans "
        "promettre d'échange.",
        "en": "If a ticket cannot be read, have it printed again. If it goes on, pass the call to level 2 without promising a "
        "replacement.",
    },
    Trouble.SCANNER: {
        "fr": "Si le nettoyage ne change rien, passez l'appel au niveau 2.",
        "en": "If cleaning changes nothing, pass the call to level 2.",
    },
    Trouble.PAPER: {
        "fr": "Si le point de vente n'a plus de rouleaux, demandez une livraison et indiquez le point de vente voisin qui peut "
        "dépanner.",
        "en": "If the shop has no rolls left, ask for a delivery and name the next shop that can help out.",
    },
    Trouble.NO_SALES: {
        "fr": "Si la vente ne reprend pas dans les cinq minutes, passez l'appel au niveau 2.",
        "en": "If sales do not resume within five minutes, pass the call to level 2.",
    },
    Trouble.CALLS: {
        "fr": "Notez les mots du commerçant et qualifiez l'appel avec soin. Ne faites pas redémarrer le terminal.",
        "en": "Note the shopkeeper's own words and qualify the call with care. Do not have the terminal restarted.",
    },
}
_ADVICE: Final[Mapping[str, str]] = {"fr": "À dire : « %(say)s » Ensuite : %(then)s", "en": 'Say: "%(say)s" Then: %(then)s'}


def spoken(trouble: Trouble, language: str) -> str:
    """What an agent reads aloud to a shopkeeper whom an incident of this kind touches."""
    return typeset(in_language(_SPOKEN[trouble], language), language)


def next_step(trouble: Trouble, language: str) -> str:
    """What the agent does then, unless the incident says otherwise."""
    return typeset(in_language(_NEXT[trouble], language), language)


def advice(trouble: Trouble, language: str) -> str:
    """Both in one text, as an incident carries it."""
    text = in_language(_ADVICE, language) % {"say": spoken(trouble, language), "then": next_step(trouble, language)}
    return typeset(text, language)
