"""What users lean on, as lists: a name that comes or goes is a decision, taken here.

A new option is argued for: can it be derived instead? A code is never given another meaning.
"""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

from typer.main import get_command

import whet
from whet.cli.app import app
from whet.findings import CODES
from whet.recipe.reading import all_options

PUBLIC = ["Interrupted", "Problem", "Run", "UserError", "fit", "open_run", "resume"]

RUN = ["findings", "path", "predict", "report", "scores", "summary", "verdict"]

OPTIONS = [
    "version",
    "task",
    "base",
    "method",
    "seed",
    "data.source",
    "data.text",
    "data.text_pair",
    "data.label",
    "data.negative",
    "data.group",
    "data.speaker",
    "data.roles",
    "data.corrections",
    "data.label_separator",
    "data.encoding",
    "data.drop_unlabelled",
    "data.validation_share",
    "data.test_share",
    "data.max_length",
    "data.stride",
    "head.pooling",
    "head.start",
    "head.keep_labels",
    "vocabulary.add",
    "vocabulary.file",
    "answers.max_tokens",
    "answers.nbest",
    "similarity.encoder",
    "similarity.loss",
    "similarity.temperature",
    "similarity.hard_negatives",
    "similarity.depth",
    "chat.template",
    "chat.train",
    "chat.cut",
    "sources.template",
    "sources.source_language",
    "sources.target_language",
    "generation.max_tokens",
    "generation.temperature",
    "generation.top_p",
    "generation.top_k",
    "generation.min_p",
    "generation.num_beams",
    "generation.length_penalty",
    "generation.stop",
    "generation.json_schema",
    "generation.pattern",
    "generation.constrain",
    "masking.share",
    "training.epochs",
    "training.learning_rate",
    "training.optimiser",
    "training.head_learning_rate",
    "training.batch_tokens",
    "training.micro_batch_tokens",
    "training.weight_decay",
    "training.warmup_share",
    "training.clip_norm",
    "training.label_smoothing",
    "training.precision",
    "training.evaluations_per_epoch",
    "training.patience",
    "training.max_seconds",
    "training.checkpoint_seconds",
    "training.restarts",
    "training.fast_paths",
    "layers.top",
    "layers.decay",
    "layers.gradual",
    "lora.rank",
    "lora.alpha",
    "lora.rank_stabilised",
    "lora.dropout",
    "lora.target_modules",
    "lora.dora",
    "lora.rate_ratio",
    "lora.start",
    "lora.merge",
    "soft.tokens",
    "soft.start",
    "soft.width",
    "quantisation.bits",
    "quantisation.kind",
    "quantisation.double",
    "regularisation.dropout",
    "regularisation.r_drop",
    "regularisation.mixout",
    "regularisation.l2_start",
    "regularisation.class_weights",
    "regularisation.focal",
    "regularisation.sampling",
    "regularisation.average",
    "regularisation.average_decay",
    "regularisation.token_deletion",
    "regularisation.token_swap",
    "forgetting.measure",
    "forgetting.text",
    "forgetting.probes",
    "forgetting.max_rows",
    "forgetting.limit",
    "forgetting.replay",
    "forgetting.interpolate",
    "evaluation.baselines",
    "evaluation.margin",
    "evaluation.alpha",
    "evaluation.resamples",
    "evaluation.label_noise",
    "evaluation.comet",
    "prompting.endpoint",
    "prompting.key_variable",
    "prompting.max_cost",
    "prompting.price_input",
    "prompting.price_output",
    "prompting.requests_at_once",
    "prompting.timeout_seconds",
    "prompting.retries",
    "prompting.base",
    "prompting.instruction",
    "prompting.shots",
    "prompting.orders",
    "prompting.calibrate",
    "prompting.max_tokens",
    "prompting.machine_price",
    "prompting.label_price",
    "judge.endpoint",
    "judge.key_variable",
    "judge.max_cost",
    "judge.price_input",
    "judge.price_output",
    "judge.requests_at_once",
    "judge.timeout_seconds",
    "judge.retries",
    "judge.model",
    "judge.instruction",
    "judge.against",
    "judge.max_rows",
]

COMMANDS = {
    "fit": [
        "DATA",
        "--task TEXT",
        "--base TEXT",
        "--method TEXT",
        "--text TEXT",
        "--label TEXT",
        "--set NAME=VALUE",
        "--recipe FILE",
        "--out DIR",
        "--seed NUMBER",
        "--json",
    ],
    "show": [
        "DATA|RUN",
        "--task TEXT",
        "--base TEXT",
        "--split TEXT",
        "--rows NUMBER",
        "--set NAME=VALUE",
        "--html FILE",
        "--json",
    ],
    "chat": ["RUN", "--beside base", "--system TEXT", "--set NAME=VALUE"],
    "import": ["CHECKPOINT", "FOLDER", "--tokenizer PATH", "--json"],
    "resume": ["RUN", "--json"],
    "check": ["RECIPE", "--set NAME=VALUE", "--json"],
    "audit": ["DATA", "--task TEXT", "--text TEXT", "--label TEXT", "--set NAME=VALUE", "--json"],
    "predict": [
        "RUN",
        "[FILE|-]",
        "--text TEXT",
        "--text-pair TEXT",
        "--encoding TEXT",
        "--model TEXT",
        "--all-scores",
        "--out FILE",
        "--json",
    ],
    "evaluate": ["RUN", "DATA", "--text TEXT", "--label TEXT", "--model TEXT", "--out DIR", "--json"],
    "compare": ["RUN RUN...", "--margin NUMBER", "--alpha NUMBER", "--json"],
    "suspects": [
        "DATA|RECIPE|RUN",
        "--text TEXT",
        "--label TEXT",
        "--base TEXT",
        "--all",
        "--out FILE",
        "--set NAME=VALUE",
        "--json",
    ],
    "plan": [
        "RECIPE|DATA",
        "--task TEXT",
        "--base TEXT",
        "--method TEXT",
        "--set NAME=VALUE",
        "--shape FILE|NAME",
        "--device TEXT",
        "--accelerators NUMBER",
        "--memory NUMBER",
        "--price NUMBER",
        "--watts NUMBER",
        "--length NUMBER",
        "--batch-tokens NUMBER",
        "--tokens NUMBER",
        "--no-trial",
        "--try-all",
        "--json",
    ],
    "curve": [
        "DATA|RECIPE|RUN",
        "--task TEXT",
        "--text TEXT",
        "--label TEXT",
        "--base TEXT",
        "--method TEXT",
        "--sizes NUMBER",
        "--draws NUMBER",
        "--out FOLDER",
        "--set NAME=VALUE",
        "--json",
    ],
    "forgetting": ["RUN [RUN...]", "--html FILE", "--json"],
    "adapters": [
        "RUN...",
        "--mix",
        "--way TEXT",
        "--density NUMBER",
        "--merge",
        "--unmerge MODEL",
        "--out FOLDER",
        "--json",
    ],
    "report": ["RUN", "--json"],
    "runs": ["--rebuild", "--in DIR", "--limit NUMBER", "--json"],
}

FINDINGS = {
    "A001",
    "A002",
    "A003",
    "A004",
    "A005",
    "A006",
    "A007",
    "A008",
    "A009",
    "A010",
    "A011",
    "A012",
    "A013",
    "A014",
    "A015",
    "A016",
    "A017",
    "A018",
    "A020",
    "A021",
    "A022",
    "A023",
    "A024",
    "A025",
    "A026",
    "A027",
    "A028",
    "A029",
    "A030",
    "A031",
    "A032",
    "A033",
    "A034",
    "A035",
    "A036",
    "E001",
    "E002",
    "E003",
    "E004",
    "E005",
    "E006",
    "E007",
    "E008",
    "E009",
    "E010",
    "E011",
    "E012",
    "E013",
    "E014",
    "G001",
    "G002",
    "G003",
    "G004",
    "G005",
    "G006",
    "G007",
    "G008",
    "G009",
    "V001",
    "V002",
    "V003",
    "V004",
    "V005",
    "V006",
    "V007",
    "V008",
    "V009",
    "W001",
    "W002",
    "W003",
    "W004",
    "W005",
    "W006",
    "W007",
}


def _surface(command: Any) -> list[str]:
    """Arguments by their metavar, options by every name, with what they take unless they are switches."""
    hints = get_type_hints(command.callback)
    found = []
    for one in command.params:
        names = ", ".join([*one.opts, *one.secondary_opts])
        kind = next((member for member in get_args(hints[one.name]) if member is not type(None)), hints[one.name])
        found.append(one.metavar if one.param_type_name == "argument" else names)
        if one.param_type_name == "option" and kind is not bool:
            found[-1] += f" {one.metavar or KINDS[next(iter(get_args(kind)), kind).__name__]}"
    return found


KINDS = {"str": "TEXT", "int": "NUMBER", "float": "NUMBER", "Path": "PATH"}


def test_recipe_options() -> None:
    assert all_options() == OPTIONS


def test_commands_and_their_options() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert {name: _surface(command) for name, command in commands.items()} == COMMANDS


def test_every_command_says_what_it_does() -> None:
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        assert (command.callback.__doc__ or "").strip(), name
        for one in command.params:
            if one.param_type_name == "option":
                assert one.help, f"{name} {one.opts}"


def test_public_names() -> None:
    assert sorted(whet.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(whet, name) is not None


def test_what_a_run_offers() -> None:
    offered = {name for name in vars(whet.Run) if not name.startswith("_")} | {"path"}
    assert sorted(offered) == RUN


def test_finding_codes() -> None:
    assert set(CODES) == FINDINGS
