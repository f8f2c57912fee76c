"""What shopkeepers say when they ring: short French sentences, by fault kind and by everyday matter."""

from collections.abc import Mapping
from typing import NamedTuple

from simulators.scenario import Kind

# Said before the matter, as often nothing.
OPENINGS = (
    "", "", "", "Bonjour, ", "Bonjour, ", "Allô, bonjour, ", "Oui bonjour, ", "Bonjour madame, ", "Bonjour monsieur, ", "Dites, ",
)  # fmt: skip
# Said after it, as often nothing.
CLOSINGS = (
    "",
    "",
    "",
    "",
    " J'ai du monde qui attend.",
    " C'est urgent.",
    " Vous pouvez regarder ?",
    " Ça dure depuis un moment.",
    " Je fais quoi ?",
    " C'est la deuxième fois cette semaine.",
    " Les clients râlent.",
    " Merci de me dire.",
)


class Habit(NamedTuple):
    """How the shops that a fault hits ring."""

    share: float  # of the shops hit that ring at strength 1
    delay_min: float  # median from the fault's onset in the shop to the call
    spread: float  # of the delay, log-normal
    again: float  # chance of each further call while it lasts
    subject: str
    words: tuple[str, ...]


HABITS: Mapping[Kind, Habit] = {
    Kind.NETWORK_OUTAGE: Habit(
        0.14,
        8,
        0.7,
        0.25,
        "technical",
        (
            "je n'ai plus de réseau sur la borne",
            "la borne affiche pas de connexion",
            "plus de connexion au serveur, rien ne passe",
            "tout est hors ligne chez moi",
            "le terminal dit réseau indisponible",
            "internet est coupé, je ne peux plus prendre de paris",
            "la ligne est tombée, impossible de jouer",
        ),
    ),
    Kind.NETWORK_DEGRADED: Habit(
        0.06,
        25,
        0.7,
        0.2,
        "technical",
        (
            "ça rame, la connexion saute sans arrêt",
            "le réseau est très lent sur la borne",
            "la connexion coupe et revient",
            "les paris passent une fois sur deux, ça vient du réseau",
            "j'ai des coupures toutes les cinq minutes",
            "la borne met un temps fou à se connecter",
        ),
    ),
    Kind.POWER_CUT: Habit(
        0.05,
        12,
        0.6,
        0.1,
        "technical",
        (
            "on n'a plus de courant dans la rue, la borne est éteinte",
            "coupure d'électricité, tout est noir",
            "panne de courant, la machine ne s'allume plus",
            "le quartier est sans électricité, je voulais prévenir",
            "plus de lumière, plus de terminal",
        ),
    ),
    Kind.PRINTER_DEGRADED: Habit(
        0.25,
        40,
        0.8,
        0.3,
        "technical",
        (
            "l'imprimante fait des bourrages sans arrêt",
            "les tickets sortent à moitié imprimés",
            "le ticket ne sort pas, erreur d'imprimante",
            "l'imprimante se met en erreur à chaque pari",
            "les tickets sont illisibles, l'impression est effacée",
            "erreur impression, je dois rouvrir le capot à chaque fois",
            "ça imprime mal, les clients refusent les tickets",
        ),
    ),
    Kind.PAPER_OUT: Habit(
        0.25,
        15,
        0.7,
        0.15,
        "technical",
        (
            "la borne demande du papier mais j'ai mis un rouleau",
            "plus de papier et je n'ai plus de rouleaux",
            "le voyant papier est rouge, comment on change le rouleau",
            "elle n'imprime plus, elle dit fin de papier",
            "je n'arrive pas à changer le rouleau",
        ),
    ),
    Kind.SCANNER_DEGRADED: Habit(
        0.22,
        45,
        0.8,
        0.3,
        "technical",
        (
            "le lecteur ne lit plus les bulletins",
            "les grilles ne passent pas, je tape tout à la main",
            "le scanner refuse un bulletin sur deux",
            "bulletin illisible à chaque fois, pourtant ils sont propres",
            "la lecture des coupons ne marche plus",
            "le lecteur de bulletins clignote et ne prend rien",
        ),
    ),
    Kind.MEMORY_LEAK: Habit(
        0.08,
        150,
        0.5,
        0.2,
        "technical",
        (
            "la borne devient de plus en plus lente depuis ce matin",
            "le terminal s'est fermé tout seul puis a redémarré",
            "l'écran met du temps à répondre, ça empire",
            "la machine a planté d'un coup et elle s'est relancée",
        ),
    ),
    Kind.CRASH_LOOP: Habit(
        0.5,
        12,
        0.6,
        0.35,
        "technical",
        (
            "la borne redémarre toute seule sans arrêt",
            "elle s'éteint et se rallume toutes les cinq minutes",
            "l'application plante et revient à l'accueil",
            "ça redémarre en boucle",
            "impossible de finir un pari, elle redémarre",
        ),
    ),
    Kind.SLOW_TRANSACTIONS: Habit(
        0.02,
        20,
        0.6,
        0.1,
        "technical",
        (
            "chaque pari met une éternité à passer",
            "la validation est très longue aujourd'hui",
            "le sablier tourne à chaque pari",
            "c'est lent, dix secondes par ticket",
            "les paris se valident au ralenti",
        ),
    ),
    Kind.CENTRAL_OUTAGE: Habit(
        0.06,
        6,
        0.6,
        0.2,
        "technical",
        (
            "tous les paris sont refusés",
            "plus aucun pari ne passe, il y a un message d'erreur central",
            "le système central ne répond pas",
            "pari refusé à chaque fois, est-ce que c'est général",
            "transaction impossible sur tous mes terminaux",
        ),
    ),
    Kind.CLOCK_DRIFT: Habit(
        0.03,
        60,
        0.6,
        0.05,
        "technical",
        (
            "l'heure de la borne n'est pas bonne",
            "l'horloge avance, les clients croient la course partie",
            "l'heure imprimée sur les tickets est fausse",
        ),
    ),
    Kind.OVERHEATING: Habit(
        0.06,
        60,
        0.6,
        0.1,
        "technical",
        (
            "la borne est brûlante et elle ralentit",
            "le ventilateur fait un bruit bizarre, ça chauffe",
            "il y a un message de température sur l'écran",
            "le terminal chauffe énormément",
        ),
    ),
    Kind.DISK_FULL: Habit(
        0.1,
        80,
        0.5,
        0.2,
        "technical",
        (
            "un message dit mémoire de stockage pleine",
            "la borne affiche espace insuffisant",
            "erreur d'enregistrement à chaque pari",
        ),
    ),
    Kind.FROZEN_APP: Habit(
        0.55,
        10,
        0.7,
        0.3,
        "technical",
        (
            "l'écran est figé, plus rien ne répond",
            "la borne est bloquée sur l'écran de pari",
            "le tactile ne réagit plus du tout",
            "tout est gelé, je ne peux même pas annuler",
            "écran bloqué depuis dix minutes",
        ),
    ),
    Kind.WEAK_RADIO: Habit(
        0.1,
        30,
        0.7,
        0.15,
        "technical",
        (
            "je n'ai plus qu'une barre de réseau",
            "la borne capte mal depuis ce matin",
            "le signal est faible, ça décroche",
            "l'antenne ne capte plus rien",
        ),
    ),
    Kind.SETTLEMENT_ERROR: Habit(
        0.45,
        45,
        0.8,
        0.25,
        "administrative",
        (
            "un client a gagné et le ticket est payé au mauvais montant",
            "le gain affiché ne correspond pas au rapport",
            "les gains du tiercé sont faux",
            "le paiement d'un ticket gagnant est refusé alors qu'il est bon",
            "le rapport payé est inférieur à celui annoncé",
            "mes clients contestent les gains, le montant est faux",
            "le ticket est gagnant mais la borne dit perdant",
        ),
    ),
    Kind.RACE_RUSH: Habit(
        0.002,
        20,
        0.5,
        0.0,
        "technical",
        (
            "il y a un monde fou, je peux avoir une deuxième borne pour le Quinté",
            "ça va moins vite avec tout ce monde, c'est normal",
        ),
    ),
    Kind.EARLY_CLOSE: Habit(
        0.004,
        30,
        0.5,
        0.0,
        "administrative",
        ("je ferme plus tôt ce soir, il faut prévenir quelqu'un", "je ferme à cause du temps, c'est noté chez vous"),
    ),
    Kind.MAINTENANCE_REBOOT: Habit(
        0.003,
        5,
        0.5,
        0.0,
        "technical",
        ("la borne vient de redémarrer toute seule, c'est vous", "il y a eu une mise à jour, c'est normal"),
    ),
    Kind.NEW_TERMINALS: Habit(
        0.15,
        20,
        0.6,
        0.1,
        "technical",
        (
            "je viens de recevoir la nouvelle borne, comment je la démarre",
            "la nouvelle machine est branchée, il faut l'activer",
            "on m'a livré un terminal, quel code je dois mettre",
        ),
    ),
}

# Every day's calls: (share, subject, sentences).
EVERYDAY: tuple[tuple[float, str, tuple[str, ...]], ...] = (
    (
        12,
        "technical",
        (
            "comment je fais pour annuler un pari",
            "un client veut annuler son ticket, je ne trouve pas le menu",
            "comment on réimprime le dernier ticket",
            "où est le menu pour la fin de journée",
        ),
    ),
    (
        10,
        "technical",
        (
            "un ticket est resté coincé dans l'imprimante",
            "l'imprimante fait un bruit, elle a avalé le papier de travers",
            "le capot ne ferme plus bien",
        ),
    ),
    (
        8,
        "technical",
        ("l'écran tactile est décalé", "une partie de l'écran ne réagit pas", "l'écran reste noir mais la borne est allumée"),
    ),
    (
        7,
        "technical",
        (
            "j'ai déplacé la borne et elle ne se rallume pas",
            "on a changé ma box, il faut reconfigurer",
            "un câble est débranché je crois",
        ),
    ),
    (
        6,
        "technical",
        ("le lecteur de carte ne reconnaît pas la carte du client", "le terminal de paiement ne veut pas de la carte"),
    ),
    (
        6,
        "technical",
        ("j'ai oublié mon code de connexion", "mon mot de passe est bloqué", "mon employé n'arrive pas à s'identifier"),
    ),
    (5, "technical", ("l'écran des courses ne marche plus", "la télé du point de vente n'affiche plus les cotes")),
    (
        8,
        "administrative",
        (
            "je n'ai pas reçu mon relevé de la semaine",
            "il y a une erreur sur ma facture",
            "le prélèvement ne correspond pas au relevé",
        ),
    ),
    (
        6,
        "administrative",
        (
            "je change de compte bancaire, qu'est-ce qu'il faut envoyer",
            "je vends le commerce, comment ça se passe",
            "je voudrais changer le nom du titulaire",
        ),
    ),
    (5, "administrative", ("je serai fermé pour congés, il faut le déclarer", "je change mes horaires d'ouverture")),
    (
        4,
        "administrative",
        ("un client a perdu son ticket gagnant", "jusqu'à quand un ticket gagnant est payable", "un gros gain, comment je le paie"),
    ),
    (9, "commercial", ("je n'ai plus de rouleaux, vous pouvez m'en envoyer", "je voudrais commander des bulletins et du papier")),
    (
        6,
        "commercial",
        ("je voudrais une deuxième borne", "quand est-ce que j'aurai la nouvelle borne", "mon voisin a le nouveau modèle, et moi"),
    ),
    (
        5,
        "commercial",
        (
            "c'est quoi l'animation de dimanche",
            "je n'ai pas reçu les affiches du Quinté",
            "quelle est ma commission sur les paris sportifs",
        ),
    ),
    (3, "commercial", ("je voudrais parler à mon commercial", "mon attaché commercial ne répond pas")),
)
