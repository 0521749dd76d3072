"""Who is in the demo, what they post and what they say."""

from __future__ import annotations

from dataclasses import dataclass, field

PASSWORD = "contemplative"  # noqa: S105  # printed by `calotype up`: the demo is there to be logged in to


@dataclass(frozen=True)
class DemoPerson:
    username: str
    name: str
    bio: str
    picture: str
    website: str = ""


@dataclass(frozen=True)
class DemoPost:
    author: str
    photos: tuple[str, ...]
    caption: str
    hours_ago: float
    said: tuple[tuple[str, str], ...] = field(default=())
    """(user name, text) in order."""


PEOPLE = (
    DemoPerson(
        "jan", "Jan", "Two spaniels, one balcony, a lot of bread. I mostly come here to look.", "spaniels"
    ),
    DemoPerson("pat", "Pat", "Cats by day, long exposures by night.", "contemplative-cat"),
    DemoPerson(
        "mara",
        "Mara Lindqvist",
        "Mountains before breakfast, insects after. Mostly a 28 mm and patience.",
        "dragonfly",
        "https://lindqvist.example",
    ),
    DemoPerson("tomas", "Tomás Rey", "Cook. I photograph what is about to be eaten.", "fig"),
    DemoPerson(
        "ada", "Ada Mensah", "Bridges, cables, load paths. Structural engineer, off duty.", "roebling-bridge"
    ),
    DemoPerson("aitzol", "Aitzol", "Basque hills in all weathers.\nPrints on request.", "aitzgorri"),
    DemoPerson("noor", "Noor Haddad", "Drums, wine, slow evenings.", "djembe"),
    DemoPerson("peter", "Peter Okafor", "Wide angles of small rooms.", "glass-bird"),
    DemoPerson("ines", "Inês Duarte", "Paint under the nails. Studio diary.", "paint-brushes"),
    DemoPerson("sam", "Sam Whitlock", "Everything that leaves the ground.", "rocket"),
    DemoPerson("yuki", "由紀", "花と虫。週末だけ。", "honey-bee"),
    DemoPerson("lea", "Léa Fontaine", "First coffee, then the camera.", "coffee"),
)

FOLLOWS = {
    "jan": "pat mara tomas ada aitzol lea ines",
    "pat": "jan mara yuki",
    "mara": "aitzol yuki pat",
    "tomas": "lea noor mara",
    "ada": "sam peter mara jan",
    "aitzol": "mara",
    "noor": "tomas lea pat",
    "peter": "ada ines mara",
    "ines": "noor lea pat mara",
    "sam": "pat ada mara",
    "yuki": "mara",
    "lea": "tomas jan noor pat mara",
}
"""Few have many followers and most have some; about half of the follows are returned."""

POSTS = (
    DemoPost(
        "mara",
        ("sunset",),
        "Last light from the orientation table. Twenty minutes later we needed torches.",
        610,
        (("aitzol", "I know that table!"),),
    ),
    DemoPost(
        "sam",
        ("hubble-deep-field",),
        "Every smudge a galaxy. I come back to this picture about once a year.",
        540,
        (("pat", "Still cannot take it in."), ("ada", "And it is one square of a very large grid.")),
    ),
    DemoPost("ines", ("paint-brushes",), "They are clean. This is what clean looks like.", 500),
    DemoPost(
        "noor",
        ("djembe",),
        "Rehearsal ran late, so rehearsal became dinner.",
        431,
        (("tomas", "Which wine?"), ("noor", "The one you brought.")),
    ),
    DemoPost("peter", ("clock",), "The clock in the hall has opinions about perspective.", 402),
    DemoPost(
        "ada",
        ("roebling-bridge",),
        "1866, and still the best dressed bridge in town. #bridges",
        350,
        (("peter", "Look at those cables."), ("jan", "Frame this one.")),
    ),
    DemoPost(
        "yuki",
        ("honey-bee",),
        "紫苑と蜜蜂。朝いちばん。 #花 #macro",
        310,
        (("mara", "The pollen on the legs!"),),
    ),
    DemoPost(
        "mara",
        ("forest-stream",),
        "Half a second, braced against a birch. #longexposure",
        290,
        (("yuki", "涼しそう。"),),
    ),
    DemoPost(
        "mara",
        ("aitzgorri",),
        "A guest in the hills of @aitzol. He says the larches wait for visitors. #autumn #larches",
        150,
        (("aitzol", "They do."),),
    ),
    DemoPost("lea", ("coffee",), "Number one of three.", 270),
    DemoPost(
        "sam",
        ("rocket",),
        "Between the lightning towers, an hour before the storm they were built for.",
        214,
        (("ada", "Scrubbed?"), ("sam", "Scrubbed. Went up two days later.")),
    ),
    DemoPost(
        "tomas",
        ("citrus", "fig"),
        "Orange, lemon, lime. Then figs, because figs are over in a week.",
        170,
        (("lea", "Second picture: I am hungry now."),),
    ),
    DemoPost("peter", ("glass-bird",), "It turns when somebody opens the door.", 121),
    DemoPost(
        "aitzol",
        ("sunset", "aitzgorri"),
        "From the orientation table down to the larches. Two weeks a year they look like this. #autumn",
        98,
        (("jan", "That orange."), ("mara", "@aitzol See you there on Saturday?")),
    ),
    DemoPost("ada", ("bridge",), "Stay cables and not one cloud. #bridges", 77),
    DemoPost("mara", ("dragonfly",), "He came back to the same branch eleven times. So did I. #macro", 64),
    DemoPost(
        "mara", ("dandelions",), "Out at five for the dew. #macro", 52, (("pat", "Worth the alarm clock."),)
    ),
    DemoPost(
        "jan",
        ("spaniels",),
        "Neighbourhood watch.",
        30,
        (
            ("pat", "Nothing gets past them."),
            ("lea", "Which one is in charge?"),
            ("jan", "They disagree about that."),
        ),
    ),
    DemoPost(
        "sam",
        ("eileen-collins",),
        "First woman to fly the Shuttle as pilot, later its first woman commander. Hero portrait on my wall.",
        22,
        (("mara", "Mine too."),),
    ),
    DemoPost(
        "mara",
        ("picos-de-europa", "forest-stream"),
        "Up at four, alone with the bells of the herd until noon. The stream is where I slept. #mountains #longexposure",
        9,
        (
            ("aitzol", "The snow looks late this year."),
            ("jan", "Adding this to the list for June. How cold was the night?"),
        ),
    ),
    DemoPost(
        "pat",
        ("contemplative-cat",),
        "He has been considering the fern since breakfast.",
        2,
        (("jan", "Contemplative cat!"),),
    ),
)
