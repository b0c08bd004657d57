# ruff: noqa: SIM905 (lists of words are read more easily as one string)
"""Writes the labelled sets of src/whet/data/general_texts: sentences made of word lists, the same at every call.

Three unrelated questions about a sentence: what it is about, what it asks for, and whether one does something or
several. Words that have nothing to do with the question are drawn alike for all labels, so that they tell nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent.parent / "src" / "whet" / "data" / "general_texts"
ROWS = 400
NAMES = (
    "Anna Bela Carlos Dora Emil Farid Greta Hugo Ines Jonas Kim Lena Mustafa Nora Olga Pavel Rosa Samir Tilda Yusuf"
).split()
PEOPLE = (
    "my neighbour,the teacher,an old friend,our guide,the twins,a young man,the cook,her sister,the driver,"
    "a colleague,the porter,their uncle,the woman next door,a stranger,the owner,his cousin,the new girl,the clerk"
).split(",")
WHEN = "on Monday,last week,in spring,one evening,at noon,after lunch,over the weekend,before the holidays".split(",")

# --- what a sentence is about -------------------------------------------------------------------------

TOPICS = {
    "food": (
        "onion,oven,soup,recipe,spoon,pepper,dough,breakfast,lemon,kettle,sauce,plate,herbs,cheese,bakery,"
        "rice,stew,jam,appetite,leftovers"
    ),
    "money": (
        "loan,salary,rent,bank,invoice,coin,debt,budget,tax,receipt,savings,discount,wallet,price,pension,"
        "interest,fee,refund,purse,bargain"
    ),
    "health": (
        "fever,doctor,bandage,cough,clinic,pill,tooth,surgery,pulse,allergy,nurse,headache,vaccine,ankle,"
        "prescription,scar,diet,ward,injury,symptom"
    ),
    "travel": (
        "ticket,suitcase,border,hotel,passport,ferry,platform,luggage,map,airport,tent,harbour,detour,visa,"
        "timetable,compass,souvenir,hostel,tunnel,cabin"
    ),
    "music": (
        "violin,choir,melody,drum,concert,piano,tune,rehearsal,singer,rhythm,string,organ,chord,trumpet,"
        "audience,conductor,lyrics,flute,recording,band"
    ),
    "weather": (
        "storm,frost,cloud,drought,breeze,thunder,hail,fog,sunshine,puddle,rainbow,blizzard,forecast,dew,"
        "heat,gale,drizzle,ice,flood,humidity"
    ),
    "law": (
        "judge,court,witness,contract,verdict,lawyer,clause,permit,appeal,fine,trial,oath,will,licence,"
        "prison,evidence,complaint,notary,statute,warrant"
    ),
    "sport": (
        "goal,referee,medal,coach,race,stadium,racket,team,record,whistle,marathon,penalty,league,jersey,"
        "training,trophy,sprint,opponent,umpire,helmet"
    ),
}
ABOUT = (
    "{when} {who} said something about the {a} and the {b}.",
    "{name} could not stop thinking of the {a}.",
    "There was a long talk about one {a}, and {who} left early.",
    "{who} showed {name} the {a} near the {b}.",
    "Nobody had told {name} that the {a} mattered.",
    "It was because of the {a}, as {who} explained to {name} {when}.",
    "{name} wrote {who} a note in which the {a} came first and the {b} second.",
    "Without the {a}, {name} thought, everything would have been different.",
    "{who} laughed at the {a}, though {name} did not.",
    "What {name} remembered {when} was mainly the {a}.",
)


def about(draw: np.random.Generator, label: str) -> str:
    words = [str(word) for word in draw.choice(TOPICS[label].split(","), 2, replace=False)]
    other = str(draw.choice([one for one in TOPICS if one != label]))
    if draw.random() < 0.3:  # a word of another topic stands beside it, and the sentence has one of its own less
        words[1] = str(draw.choice(TOPICS[other].split(",")))
    return filled(draw, ABOUT, a=words[0], b=words[1])


# --- what a question asks for -------------------------------------------------------------------------

THINGS = (
    "the old mill,this engine,the northern road,the festival,the library,that song,the harbour wall,the red house,"
    "the school choir,this medicine,the first railway,the tower,the local paper,that bridge,the orchard,the museum"
).split(",")
DONE = "built,moved,given up,opened,repaired,sold,found,closed,changed,planned,lost,saved,renamed,shown".split(",")
ASKED = {
    "person": (
        "architect,mayor,inventor,widow,captain,painter,engineer,queen,farmer,priest,merchant,soldier,nurse,"
        "journalist,minister,carpenter,heir,pilot,scholar,baron"
    ),
    "place": (
        "town,valley,river,country,island,street,village,coast,hill,district,square,province,forest,harbour,"
        "continent,suburb,canton,lake,corner,parish"
    ),
    "time": (
        "year,century,month,decade,season,day,date,hour,week,period,morning,reign,era,moment,weekend,summer,"
        "night,age,anniversary,quarter"
    ),
    "number": (
        "price,height,weight,length,percentage,distance,amount,speed,temperature,share,population,depth,cost,"
        "width,capacity,ratio,rate,total,size,volume"
    ),
    "reason": (
        "cause,motive,purpose,ground,excuse,explanation,argument,occasion,aim,justification,pretext,intention,"
        "benefit,advantage,trigger,objective,fear,hope,complaint,goal"
    ),
    "manner": (
        "method,technique,tool,procedure,process,trick,machine,recipe,device,approach,system,instrument,plan,"
        "formula,means,practice,style,skill,routine,step"
    ),
}
WANTED = (
    "What was the {a} when {x} was {done}?",
    "Which {a} is named together with {x}?",
    "Tell me the {a} that goes with {x}.",
    "{x} was {done}: with what {a}?",
    "Do you recall the {a} of {x}?",
    "Is anything known of the {a}, now that {x} is {done}?",
    "They ask about the {a} of {x}.",
    "{x} has been {done}, but what {a} do the papers give?",
)
PLAIN = {
    "person": "Who {done} {x}?;By whom was {x} {done}?;Whose was {x} before it was {done}?",
    "place": "Where was {x} {done}?;Where can one see {x}?;To where was {x} taken?",
    "time": "When was {x} {done}?;Since when is {x} {done}?;How long ago was {x} {done}?",
    "number": "How much was {x}?;How many of us saw {x}?;How often was {x} {done}?",
    "reason": "Why was {x} {done}?;What is {x} good for?;How come {x} was {done}?",
    "manner": "How was {x} {done}?;In what way was {x} {done}?;How does {x} work?",
}
LEADS = (
    "At the {place} in the {time} {name} wondered: ;For the {person} at the {place}: ;One {time} a {person} asked: ;"
    "On the {method} of the {person}, {name} asked: ;Beyond the {price} and the {time}: ;{name} wants to know: ;;;"
).split(";")


def asked(draw: np.random.Generator, label: str) -> str:
    kinds = {"place": "place", "time": "time", "person": "person", "method": "manner", "price": "number"}
    drawn = {name: str(draw.choice(ASKED[kind].split(","))) for name, kind in kinds.items()}
    forms = WANTED if draw.random() < 0.7 else tuple(PLAIN[label].split(";"))
    lead, form = str(draw.choice(LEADS)), str(draw.choice(forms))
    words = {
        "x": str(draw.choice(THINGS)),
        "done": str(draw.choice(DONE)),
        "a": str(draw.choice(ASKED[label].split(","))),
    }
    return filled(draw, (lead + form,), **drawn, **words)


# --- whether one does it or several ------------------------------------------------------------------

NOUNS = (
    "key,box,dog,letter,teacher,road,garden,picture,window,engine,song,farmer,bridge,boat,report,cousin,tree,clock,"
    "bottle,lawyer,river,horse,singer,camera,ticket,village,table,doctor,island,machine,poem,bird,guest,coat,member,"
    "apple,cloud,neighbour,model,tower,child:children,man:men,woman:women,mouse:mice,goose:geese,thief:thieves"
).split(",")
BETWEEN = "beside,behind,with,from,near,under,without,above,opposite,below,among,against,beyond,instead of".split(",")
HAPPENED = (
    "vanished overnight,came too late,looked rather strange,had been forgotten,fell into the water,stayed where it "
    "rained,could not be moved,made no noise,went to {name},caused some trouble,belonged to {name},turned up again,"
    "did not please {name},surprised {name},seemed to wait,would not be ready in time"
).split(",")


def counted(draw: np.random.Generator, label: str) -> str:
    one, other = (str(noun).split(":") for noun in draw.choice(NOUNS, 2, replace=False))
    subject = one[0] if label == "one" else one[-1] if len(one) > 1 else several(one[0])
    beside = other[0] if draw.random() < 0.5 else other[-1] if len(other) > 1 else several(other[0])
    what = f"the {subject} {draw.choice(BETWEEN)} the {beside} {draw.choice(HAPPENED)}."
    return filled(draw, (what, "{when} " + what, "{name} said that " + what, what[:-1] + ", as {who} knew."))


def several(noun: str) -> str:
    return noun + ("es" if noun.endswith(("x", "ch")) else "s")


def filled(draw: np.random.Generator, forms: tuple[str, ...], **words: str) -> str:
    """One of the forms with names, people and times in it, beginning with a capital letter."""
    names, people, when = str(draw.choice(NAMES)), str(draw.choice(PEOPLE)), str(draw.choice(WHEN))
    text = str(draw.choice(forms)).format(name=names, who=people, when=when, **words)
    return text[:1].upper() + text[1:]


SETS: dict[str, tuple[tuple[str, ...], Callable[[np.random.Generator, str], str]]] = {
    "topics": (tuple(TOPICS), about),
    "questions": (tuple(ASKED), asked),
    "subjects": (("one", "several"), counted),
}


def main() -> None:
    for name, (labels, make) in SETS.items():
        draw = np.random.default_rng(sum(map(ord, name)))
        rows: dict[str, str] = {}
        while len(rows) < ROWS:
            label = labels[len(rows) % len(labels)]
            text = make(draw, label)
            rows.setdefault(text, label)
        order = draw.permutation(ROWS)
        listed = list(rows.items())
        lines = [json.dumps({"text": listed[at][0], "label": listed[at][1]}) + "\n" for at in order]
        (OUT / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        print(name, len(lines), lines[0].strip())


if __name__ == "__main__":
    main()
