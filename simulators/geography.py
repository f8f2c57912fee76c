"""Where shops stand: departments with their regions and people, time zones, and agencies.

Populations are INSEE's census of 2021 in thousands, rounded: enough to spread shops as people are spread.
"""

from typing import NamedTuple


class Department(NamedTuple):
    """One department by its INSEE code."""

    code: str
    region: str
    thousands: int


# One line a region: its INSEE code, then department:thousands.
_REGIONS = """
01 971:384
02 972:361
03 973:286
04 974:871
06 976:300
11 75:2133 77:1438 78:1457 91:1313 92:1635 93:1668 94:1415 95:1256
24 18:299 28:432 36:217 37:613 41:328 45:684
27 21:535 25:547 39:259 58:202 70:233 71:549 89:334 90:140
28 14:700 27:598 50:495 61:277 76:1256
32 02:526 59:2611 60:830 62:1462 80:567
44 08:268 10:311 51:565 52:169 54:733 55:181 57:1050 67:1152 68:768 88:359
52 44:1457 49:823 53:306 72:567 85:695
53 22:606 29:922 35:1098 56:769
75 16:352 17:661 19:239 23:115 24:413 33:1655 40:421 47:331 64:693 79:375 86:439 87:372
76 09:155 11:377 12:279 30:757 31:1434 32:192 34:1201 46:175 48:77 65:231 66:487 81:393 82:263
84 01:663 03:335 07:331 15:144 26:520 38:1285 42:770 43:228 63:664 69:1896 73:440 74:841
93 04:167 05:141 06:1104 13:2056 83:1095 84:563
94 2A:162 2B:185
"""

DEPARTMENTS: tuple[Department, ...] = tuple(
    Department(code, line.split()[0], int(thousands))
    for line in _REGIONS.strip().splitlines()
    for code, thousands in (pair.split(":") for pair in line.split()[1:])
)

OVERSEAS_TIMEZONES = {
    "971": "America/Guadeloupe",
    "972": "America/Martinique",
    "973": "America/Cayenne",
    "974": "Indian/Reunion",
    "976": "Indian/Mayotte",
}
MAINLAND_TIMEZONE = "Europe/Paris"
TIMEZONES: tuple[str, ...] = (MAINLAND_TIMEZONE, *OVERSEAS_TIMEZONES.values())
AGENCIES = 30

# Departments where people live far apart: little fibre, more radio.
RURAL_BELOW_THOUSANDS = 350


def timezone_of(department: str) -> str:
    """Return the time zone that a department's clocks show."""
    return OVERSEAS_TIMEZONES.get(department, MAINLAND_TIMEZONE)


def region_population() -> dict[str, int]:
    """Thousands of people by region, in order of region code."""
    people: dict[str, int] = {}
    for department in DEPARTMENTS:
        people[department.region] = people.get(department.region, 0) + department.thousands
    return people


def agencies_per_region(agencies: int = AGENCIES) -> dict[str, int]:
    """Share out the agencies: one for every region, the others one by one to where an agency has most people."""
    people = region_population()
    shares = dict.fromkeys(people, 1)
    for _ in range(agencies - len(people)):
        busiest = max(people, key=lambda region: people[region] / shares[region])
        shares[busiest] += 1
    return shares


def agency_of_department() -> dict[str, str]:
    """Give each department its agency: whole departments, neighbours by code, about as many people in each."""
    agency: dict[str, str] = {}
    first = 1
    for region, share in agencies_per_region().items():
        departments = [d for d in DEPARTMENTS if d.region == region]
        total = sum(d.thousands for d in departments)
        before = 0
        for position, department in enumerate(departments):
            # The middle of the department's people decides; every agency keeps at least one department.
            middle = (before + department.thousands / 2) / total
            place = min(int(middle * share), share - 1, position)
            place = max(place, share - (len(departments) - position))
            agency[department.code] = f"AG{first + place:02d}"
            before += department.thousands
        first += share
    return agency
