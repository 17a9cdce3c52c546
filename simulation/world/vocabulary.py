"""The words and cities that the simulated company is made of.

Owns nothing but constants. Cities, their coordinates and time zones are real; companies, streets of
sites and people are invented, telephone numbers are of the range kept for fiction (555-01xx), and
mail addresses end in the reserved `.example`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class City:
    """A city centre, in degrees (WGS 84), and its IANA time zone."""

    name: str
    latitude: float
    longitude: float
    timezone: str


CITIES = (
    City("Rotterdam", 51.9225, 4.4792, "Europe/Amsterdam"),
    City("Hamburg", 53.5511, 9.9937, "Europe/Berlin"),
    City("Lyon", 45.7640, 4.8357, "Europe/Paris"),
    City("Leeds", 53.8008, -1.5491, "Europe/London"),
    City("Porto", 41.1579, -8.6291, "Europe/Lisbon"),
    City("Gdansk", 54.3520, 18.6466, "Europe/Warsaw"),
    City("Denver", 39.7392, -104.9903, "America/Denver"),
    City("Atlanta", 33.7490, -84.3880, "America/New_York"),
    City("Montreal", 45.5017, -73.5673, "America/Toronto"),
    City("Monterrey", 25.6866, -100.3161, "America/Monterrey"),
    City("Pune", 18.5204, 73.8567, "Asia/Kolkata"),
    City("Bengaluru", 12.9716, 77.5946, "Asia/Kolkata"),
    City("Nairobi", -1.2921, 36.8219, "Africa/Nairobi"),
    City("Osaka", 34.6937, 135.5023, "Asia/Tokyo"),
    City("Brisbane", -27.4698, 153.0251, "Australia/Brisbane"),
    City("Berlin", 52.5200, 13.4000, "Europe/Berlin"),
    City("New York", 40.7400, -73.9900, "America/New_York"),
    City("Mumbai", 19.0800, 72.8800, "Asia/Kolkata"),
    City("Sydney", -33.8700, 151.2100, "Australia/Sydney"),
    City("London", 51.5100, -0.1200, "Europe/London"),
    City("Singapore", 1.3500, 103.8200, "Asia/Singapore"),
)

TENANT_NAMES = (
    "Nordlicht Facility Services",
    "Harrow & Vale Guarding",
    "Bluestone Site Care",
    "Meridian Property Watch",
    "Kestrel Building Services",
    "Aldgate Clean & Secure",
    "Tamarack Integrated Services",
    "Solway Estates Support",
)

CLIENT_NAMES = (
    "Orchid Group",
    "Lindqvist Holding",
    "Paragon Estates",
    "Corvus Properties",
    "Willowbrook Trust",
    "Juniper Partners",
    "Baltic Ventures",
    "Redwood Foundation",
    "Castellan Group",
    "Ferrous Holding",
)

SITE_NAMES = (
    "Distribution Centre",
    "Head Office",
    "Data Hall",
    "Outpatient Wing",
    "Main Gate",
    "Car Park",
    "Laboratory",
    "Cold Store",
    "Campus North",
    "Loading Yard",
    "Reception Tower",
    "Plant Room",
)

GIVEN_NAMES = (
    "Amara", "Anton", "Beatriz", "Bram", "Chidi", "Clara", "Daan", "Devika", "Elif", "Emil", "Farah", "Felix",
    "Grace", "Hugo", "Ines", "Ivo", "Jamal", "Jana", "Kofi", "Leila", "Lucas", "Maren", "Milan", "Nadia",
    "Noor", "Oskar", "Paula", "Quentin", "Rosa", "Ruben", "Sanjay", "Selma", "Tariq", "Tessa", "Uma", "Viktor",
    "Wanda", "Yusuf", "Zofia", "Mateo",
)  # fmt: skip

FAMILY_NAMES = (
    "Abara", "Almeida", "Bergstrom", "Castell", "Dvorsky", "Ekholm", "Farrow", "Gantz", "Holloway", "Iversen",
    "Jarvela", "Kettler", "Lindgren", "Marchetti", "Nakamori", "Okonjo", "Pereira", "Quillan", "Rahmani", "Sandoval",
    "Tremblay", "Ulrich", "Vantongeren", "Whitcombe", "Xavier", "Yamane", "Zielinski", "Achterberg", "Bhosale",
    "Corrigan", "Desrosiers", "Engstrand",
)  # fmt: skip

TOURS = (
    ("Perimeter tour", 35.0),
    ("Fire exit round", 26.0),
    ("Night lock-up round", 30.0),
    ("Cold store temperature round", 22.0),
    ("Car park patrol", 38.0),
    ("Server hall walk-through", 42.0),
)
"""Title, and minutes that it takes on average."""

TASKS = (
    ("Clean reception floor", 24.0),
    ("Test emergency lighting", 18.0),
    ("Inspect the fire doors", 15.0),
    ("Restock washrooms", 12.0),
    ("Replace air filter", 21.0),
    ("Empty recycling station", 9.0),
)
"""As for the tours."""

TICKET_TEXTS = (
    "Access badge of a visitor does not open the turnstile at the east entrance.",
    "Water on the floor beside the loading ramp, slip hazard taped off until it is dry.",
    "Camera 4 on the north fence shows no picture since the storm.",
    "The barrier of the car park stays open after a van has passed.",
    "Smoke detector on the second floor beeps every minute, battery probably low.",
    "Delivery arrived outside the agreed hours, driver is waiting at the gate.",
    "Air conditioning of the meeting room is stuck on heating.",
    "Broken window pane in the stairwell, the area is closed with tape.",
)

WORK_ORDER_VENDORS = ("Hydra Lifts", "Volt & Sons", "Clearview Glass", "Arctic Cooling", "Sentinel Locks")
