"""The house: every room, what it is for, its doors and its arrows, and that the code keeps to them.

A room is a folder. Its doors are the modules that other rooms may import; what is behind them may change freely. Arrows point one way:
among rooms as among files there is no cycle, imports inside functions and modules named in strings included. Every room may use the doors
of `verifiers`, the words that all share. A *front* is not a folder but some modules at the top of a package, which stand before its rooms.

CONTRIBUTING.md shows this table and the picture that `docs/draw_house.py` makes of it.
"""

import ast
import importlib.util
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import verifiers
from verifiers.rewards.named_functions import own_modules

ROOT = Path(__file__).resolve().parents[1]


class Room(NamedTuple):
    purpose: str
    doors: str
    """Modules that other rooms may import."""
    arrows: str
    """Rooms whose doors it may use, besides those of `verifiers`; `.archives` is the room of that name in the same package."""


PACKAGES = {  # the packages that a package may import; arrows point up this table
    "verifiers": (),
    "data_pipeline": ("verifiers",),
    "rollout": ("verifiers",),
    "rl": ("verifiers", "rollout"),
    "recipes": ("verifiers", "data_pipeline", "rollout", "rl"),
}
FRONTS = {"verifiers": "trl_reward sandbox interpreter", "recipes": "deepseek_math r1_zero r1 deliberative_alignment smollm2_additions"}
ROOMS = {
    "verifiers": Room(
        "words that all share, files written whole, patterns compiled late, one HTTP client",
        "atomic_files child_environment child_process first_use http_post input_error problem protocol_streams resource_limits verdict",
        "",
    ),
    "verifiers.mathematics.arithmetic": Room(
        "exact and certified numbers",
        "case_rows exact_functions exact_sums exact_values function_names interval_evaluation intervals polynomials",
        "",
    ),
    "verifiers.mathematics.evidence": Room(
        "two expressions: certainly different, or the same by all evidence",
        "algebra_system certified_comparison rounding",
        ".mathematics.arithmetic",
    ),
    "verifiers.mathematics.answer_reading": Room(
        "the text of an answer to values",
        "answer_in_words answer_parser letter_domains matrix_arithmetic open_form short_phrases units values",
        ".mathematics.arithmetic .mathematics.evidence",
    ),
    "verifiers.response_text": Room(
        "what the text alone tells: the final answer, blocks, format, length, language",
        "answer_claims fenced_blocks final_answer language_id length",
        ".mathematics.answer_reading",
    ),
    "verifiers.mathematics.equality": Room(
        "two answers: the same? math_answer and its ladder",
        "math_answer",
        ".mathematics.answer_reading .mathematics.arithmetic .mathematics.evidence .response_text",
    ),
    "verifiers.sandboxes": Room(
        "walls around hostile code, and its limits of memory, time and output",
        "chosen_sandbox fusion_sandbox interpreter local_sandbox namespaces running_program",
        "",
    ),
    "verifiers.programs": Room(
        "code judged by tests, python_tests and program_tests; answers that a program prints, program_answer",
        "",
        ".mathematics.equality .response_text .sandboxes",
    ),
    "verifiers.proofs": Room(
        "proofs checked by Lean and Metamath: lean_proof, metamath_proof",
        "",
        ".response_text",
    ),
    "verifiers.rewards": Room(
        "names and rows to verifiers and problems",
        "combined_rewards gold_answers load_reward named_functions problem_file reward_endpoint reward_kinds reward_model reward_text",
        ".mathematics.equality .response_text",
    ),
    "verifiers.steps": Room(
        "a response in steps, and a score of each: steps, arithmetic",
        "step_text",
        ".mathematics.answer_reading .mathematics.equality .rewards",
    ),
    "verifiers.worker_pool": Room(
        "many verdicts at once, with limits and kills",
        "gold_check verifier_pool",
        ".rewards",
    ),
    "verifiers.front": Room(
        "for users: rewards in TRL, a sandbox, an interpreter",
        "",
        ".rewards .sandboxes .worker_pool",
    ),
    "data_pipeline.documents": Room(
        "what travels, and how it lies on disk",
        "addresses corpus_shards document document_files formula_spans framed_lines parquet_names places stored_bytes token_counts",
        "",
    ),
    "data_pipeline.tasks": Room(
        "one file, one task: many files on the processes of one machine, or of several",
        "file_work run_all running_task",
        ".documents",
    ),
    "data_pipeline.archives": Room(
        "stored bytes to pages",
        "archive_pages archive_records http_response indexed_pages named_inputs record_pages",
        ".documents",
    ),
    "data_pipeline.fetching": Room(
        "pages of Common Crawl by its index, from servers that may do anything",
        "chosen_rows fetch_query fetched_pages index_files pace polite_client",
        ".archives .documents",
    ),
    "data_pipeline.formulas.notations": Room(
        "one notation to TeX",
        "asciimath katex_glyphs mathjax_glyphs mathml mathml_elements tex_text unicode_tex_table unicode_to_tex",
        "",
    ),
    "data_pipeline.formulas": Room(
        "every formula of a page, once",
        "formula lifted_elements placeholders",
        ".formulas.notations",
    ),
    "data_pipeline.extraction.layout": Room(
        "HTML to Markdown",
        "block_builder block_markdown main_text",
        ".formulas",
    ),
    "data_pipeline.extraction": Room(
        "pages and archives to documents: charsets, the prefilter, extraction",
        "charset_decoding extract_archives extraction_options page_prefilter",
        ".archives .documents .extraction.layout .formulas .tasks verifiers.rewards",
    ),
    "data_pipeline.classifier": Room(
        "is it mathematics, or what else is sought? fastText, trained and read",
        "classifier_figures classifier_words math_classifier parallel_scoring target training_examples",
        ".documents",
    ),
    "data_pipeline.columns": Room(
        "what is known of every page without its text",
        "minhash page_columns parquet_queries token_budget",
        ".documents .tasks",
    ),
    "data_pipeline.cleaning": Room(
        "what stays: copies, repeated lines, quality, language, benchmarks",
        "benchmark_index decontamination duplicates math_quality prose_language prose_mask published_rules repeated_lines",
        ".columns .documents verifiers.response_text",
    ),
    "data_pipeline.problems": Room(
        "question and answer pairs",
        "problem_mining solve_rates",
        ".documents verifiers.mathematics.answer_reading verifiers.mathematics.equality verifiers.response_text verifiers.rewards",
    ),
    "data_pipeline.subjects": Room(
        "what is looked for: mathematics, code, a subject of the user's; all that differs between them",
        "named_subject subject",
        ".classifier .cleaning .documents .extraction .problems verifiers.rewards",
    ),
    "data_pipeline.loop": Room(
        "one mining run, in rounds",
        "extracted_pages mining_run run_settings step_records",
        ".archives .classifier .cleaning .columns .documents .extraction .fetching .problems .subjects .tasks",
    ),
    "data_pipeline.planning": Room(
        "what a run will take, by rates measured here, and how far that was right",
        "run_plan stage_rates",
        ".archives .documents .fetching .loop",
    ),
    "data_pipeline.reports": Room(
        "a mining run as a page with plots",
        "run_report",
        ".archives .columns .documents .extraction .loop .subjects",
    ),
    "data_pipeline.commands": Room(
        "`reckon mine`",
        "demo_exercises demo_pages demo_web mine_command",
        ".archives .classifier .cleaning .columns .documents .extraction .fetching .loop .planning .problems .reports .subjects",
    ),
    "rollout": Room(
        "problems to scored groups: the protocol of engines, chat templates, the store, the proof that the sampler is the policy",
        "canary chat continuation engine interruption phases player progress rendering stopping store token_store watchdog",
        "",
    ),
    "rollout.modules": Room(
        "a model in this process, computed with less work: its products, decoding, an adapter for a while in the weights",
        "cached_decoding linear_products merged_adapter",
        "rollout",
    ),
    "rollout.engines": Room(
        "transformers, vLLM here and behind a server, Ray, and one without a model",
        "hf_engine policy_tensors ray_engines replica served_scores vllm_engine vllm_server",
        "rollout .modules",
    ),
    "rollout.tools": Room(
        "completions that talk to an environment",
        "interpreter_environment openenv_environment tool_use",
        "rollout verifiers.response_text verifiers.sandboxes",
    ),
    "rl.objectives": Room(
        "pure maths, no model",
        "algorithms batch credit distillation objective policy_gradient preferences reward_models supervised values",
        "",
    ),
    "rl.forward": Room(
        "one pass of a model without work that need not be done: attention by blocks, what the head says of given tokens",
        "block_attention fused_layers output_head",
        "rollout.modules",
    ),
    "rl.saving": Room(
        "training with less memory: what is computed again, what the optimiser keeps, when it steps",
        "freed_memory optimizers quantization recompute savings",
        "",
    ),
    "rl.learning": Room(
        "who holds parameters",
        "adapters critic kept_scores layout learner model_loading policy reference schedule scoring starting_model teacher token_terms "
        "update_stats value_heads",
        ".forward .objectives .saving rollout rollout.engines rollout.modules",
    ),
    "rl.measuring": Room(
        "what a step takes: planned on tensors without storage, and traced while it runs",
        "planned_step profile",
        ".learning .objectives .saving rollout rollout.modules",
    ),
    "rl.workers": Room(
        "the learner over many processes: a part of everything in each, and the driver's stand-in for them",
        "local_workers policy_worker policy_workers ray_workers sharded_learner torchrun_workers workers",
        ".learning .objectives rollout rollout.engines rollout.modules",
    ),
    "rl.interpolation": Room(
        "models to one plain model: adapters merged; spherical and straight means of what several learnt, TIES, DARE, part of the way back",
        "merged_adapters merged_models restarts task_vectors weight_files",
        ".learning rollout",
    ),
    "rl.examples": Room(
        "written text to token sequences with masks: what trains, shown, and what each step sees of it",
        "batches example intake mask_view text_judge written",
        ".learning .loop .objectives rollout verifiers.rewards",
    ),
    "rl.evaluation": Room(
        "held-out figures and how much of them is luck: intervals, pass@k, maj@k, paired tests",
        "accuracy held_out luck subsets",
        "rollout",
    ),
    "rl.mixtures": Room(
        "how much of each domain: weights that follow losses (DoReMi, Skill-It), as a file, and examples drawn by them",
        "domains doremi mixed_examples mixture_file skill_it",
        ".examples .learning .loop .objectives rollout",
    ),
    "rl.runs": Room(
        "a run on disk, and how it looks",
        "comparison report run_folder tracking",
        "rollout",
    ),
    "rl.loop": Room(
        "the online and the offline loop",
        "chunks drift judged_figures offline problem_stream seeds silence train",
        ".evaluation .learning .objectives .runs rollout",
    ),
    "recipes.spelling": Room(
        "options as they are written and explained: flat names, files, what others call them, help; and how a command tells its result",
        "completion config_file flat_options foreign_names help_page option_values result_line",
        "rl.runs",
    ),
    "recipes.setup": Room(
        "objects from options",
        "arithmetic choices command_line memory model_card model_source online options problem_mixture problem_set problem_source "
        "resuming reward_code reward_models starting_point",
        ".spelling rl.examples rl.learning rl.loop rl.measuring rl.objectives rl.runs rl.saving rollout rollout.engines verifiers.rewards "
        "verifiers.steps verifiers.worker_pool",
    ),
    "recipes.actors": Room(
        "who acts beside the policy: engines, critics, teachers",
        "critics engines policies ranks same_tokenizer teachers",
        ".setup .spelling rl.learning rl.loop rl.objectives rl.workers rollout rollout.engines",
    ),
    "recipes.selection": Room(
        "stored rollouts to training data: `reckon data`",
        "accepted_responses data_command data_text problem_difficulty self_play stored_responses tally training_text",
        ".setup data_pipeline.columns rl.evaluation rollout verifiers.mathematics.equality verifiers.response_text verifiers.rewards",
    ),
    "recipes.labelling": Room(
        "labels of steps, by roll-outs from where they end: `reckon data steps`",
        "step_labels",
        ".actors .selection .setup rl.learning rl.loop rl.runs rollout verifiers.steps",
    ),
    "recipes.in_python": Room(
        "the commands as functions over objects, behind `import reckon`",
        "sampling training",
        "recipes .policies .setup .spelling .training .viewer rl.learning rl.evaluation rl.runs rollout rollout.engines "
        "verifiers.rewards verifiers.worker_pool",
    ),
    "recipes": Room(
        "stories: one run each",
        "grpo_math grpo_tools iterative_grpo measured_stages ppo_math quickstart",
        ".actors .selection .setup .spelling .training rl.examples rl.learning rl.evaluation rl.loop rl.objectives rollout "
        "rollout.engines rollout.tools "
        "verifiers.response_text verifiers.rewards verifiers.sandboxes",
    ),
    "recipes.training": Room(
        "stages: one command each",
        "dpo kto offline_options offline_plan offline_run orpo references reward_model rft rounds sample sft spin",
        ".actors .selection .setup .spelling rl.examples rl.interpolation rl.learning rl.evaluation rl.loop rl.measuring rl.mixtures "
        "rl.objectives rl.runs rl.saving rollout verifiers.rewards",
    ),
    "recipes.mixing": Room(
        "`reckon mix`: weights over domains, found by a small model",
        "mix",
        ".setup .training rl.learning rl.mixtures rl.runs rollout",
    ),
    "recipes.policies": Room(
        "one policy out of others: distillation, merges, WARP",
        "distill merged_policies warp",
        "recipes .actors .setup .spelling .training rl.interpolation rl.learning rl.loop rollout",
    ),
    "recipes.evaluation": Room(
        "`reckon eval`: what a model can do, counted and compared",
        "eval_command",
        "recipes .setup .spelling .training data_pipeline.cleaning rl.evaluation rollout verifiers.mathematics.equality "
        "verifiers.response_text "
        "verifiers.worker_pool",
    ),
    "recipes.looking": Room(
        "runs on disk, in the terminal: beside each other, what the policy said, why a verdict is what it is",
        "diff explained explanation overview_table run_overview runs show stored_steps",
        ".setup .spelling rl.runs rollout verifiers.rewards verifiers.worker_pool",
    ),
    "recipes.viewer": Room(
        "runs, and data to be trained on, as a page that opens from disk: `reckon view`, `reckon watch`",
        "view watch",
        ".looking .setup .spelling rl.examples rl.runs rollout",
    ),
    "recipes.stages": Room(
        "a chain of stages in one resumable folder, and what the tiny stories of several stages are told of",
        "a_policy chain figures smollm2_weights story_options sums_on_pages two_languages",
        "recipes .in_python .selection .setup .spelling data_pipeline.commands rl.evaluation rl.interpolation rl.loop rl.runs rollout "
        "verifiers.mathematics.equality verifiers.response_text verifiers.rewards",
    ),
    "recipes.front": Room(
        "whole papers: a chain of stages each; a real model's first run",
        "deepseek_math deliberative_alignment r1 r1_zero",
        "recipes .in_python .labelling .selection .setup .spelling .stages data_pipeline.commands rl.runs rollout verifiers.rewards",
    ),
    "recipes.commands": Room(
        "the `reckon` command",
        "",
        "data_pipeline.commands recipes .evaluation .front .labelling .looking .mixing .policies .selection .setup .spelling .training "
        ".viewer rl.interpolation rl.evaluation rl.objectives rl.runs rollout verifiers.mathematics.answer_reading "
        "verifiers.mathematics.arithmetic verifiers.response_text verifiers.rewards "
        "verifiers.worker_pool",
    ),
}

HEAVY = {"torch", "transformers", "vllm", "ray", "sympy", "datasets"}  # importing `verifiers` or a command's --help must stay cheap
HEAVY_AT_TOP = {
    "torch": ("rl/", "rollout/"),
    "transformers": (
        "rollout/engines/hf_engine.py",
        "rollout/modules/cached_decoding.py",
        "rl/forward/block_attention.py",
        "rl/learning/learner.py",
        "rl/learning/model_loading.py",
    ),
    "ray": ("data_pipeline/tasks/ray_tasks.py", "rl/workers/ray_workers.py", "rollout/engines/ray_engines.py"),
}
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_MODULES = 500, 80, 15
_HOSTS = (".com", ".org")
_NAMED = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.[a-z_][a-z_0-9]*)+")
_PATH = re.compile(r"(?<![\w/.])((?:[a-z_]+/)+[a-z_0-9]+\.py)\b")
_FILE = re.compile(r"`([a-z_0-9]+\.py)`")


@lru_cache
def modules() -> Mapping[str, ast.Module]:
    """Every module of the packages by its dotted name."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts): ast.parse(file.read_text()) for file in files}


def path_of(module: str) -> str:
    return module.replace(".", "/") + ".py"


def arrows_of(room: str) -> list[str]:
    package = room.partition(".")[0]
    return [package + arrow if arrow.startswith(".") else arrow for arrow in ROOMS[room].arrows.split()]


def room_of(module: str) -> str:
    folder, _, stem = module.rpartition(".")
    return f"{folder}.front" if stem in FRONTS.get(folder, "").split() else folder


def module_in(text: str) -> str | None:
    """The module that a dotted name begins with: the whole of it, or what stands before an attribute."""
    if not _NAMED.fullmatch(text):
        return None
    return text if text in modules() else text.rpartition(".")[0] if text.rpartition(".")[0] in modules() else None


@lru_cache
def imports() -> Mapping[str, frozenset[str]]:
    """Of every module, the modules of ours that it imports anywhere, or names in a string that is nothing but the name."""
    found: dict[str, set[str]] = {name: set() for name in modules()}
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found[name] |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found[name].add(module_in(node.value.partition(":")[0]) or "")
    return {name: frozenset(others & modules().keys() - {name}) for name, others in found.items()}


def arrows() -> Iterator[tuple[str, str]]:
    """Importing module and imported one, where they are in different rooms."""
    for name, others in imports().items():
        yield from ((name, other) for other in others if room_of(other) != room_of(name) and not other.endswith("__init__"))


def cycles(graph: Mapping[str, frozenset[str]]) -> list[frozenset[str]]:
    """Sets of nodes that reach each other."""
    reached = {node: _reached(node, graph) for node in graph}
    return list(
        {frozenset({node} | {other for other in reached[node] if node in reached[other]}) for node in graph if node in reached[node]}
    )


def _reached(node: str, graph: Mapping[str, frozenset[str]]) -> set[str]:
    found, open_ = set(), [node]
    while open_:
        for other in graph.get(open_.pop(), frozenset()) - found:
            found.add(other)
            open_.append(other)
    return found


def test_every_module_has_a_room():
    rooms = {room_of(name) for name in modules() if not name.endswith("__init__")}
    assert rooms == ROOMS.keys()


def test_rooms_are_entered_by_their_doors():
    for name, other in arrows():
        assert other.rpartition(".")[2] in ROOMS[room_of(other)].doors.split(), f"{path_of(name)}: {other} is no door of its room"


def test_arrows_are_in_the_table_and_every_door_and_arrow_of_the_table_is_used():
    doors, used = defaultdict(set), defaultdict(set)
    for name, other in arrows():
        allowed = ("verifiers", *arrows_of(room_of(name)))
        assert room_of(other) in allowed, f"{path_of(name)}: {room_of(name)} may not look into {room_of(other)} ({other})"
        doors[room_of(other)].add(other.rpartition(".")[2])
        used[room_of(name)].add(room_of(other))
    for room in ROOMS:
        assert set(ROOMS[room].doors.split()) == doors[room], f"{room}: doors that nobody uses"
        assert set(arrows_of(room)) == used[room] - {"verifiers"}, f"{room}: arrows that nobody uses"


def test_arrows_point_one_way():
    for room in ROOMS:
        package = room.partition(".")[0]
        for other in arrows_of(room):
            assert other.partition(".")[0] in (package, *PACKAGES[package]), f"{room} may not look into {other}"
    assert [sorted(cycle) for cycle in cycles({room: frozenset(arrows_of(room)) for room in ROOMS})] == []


def test_what_runs_in_a_sandbox_needs_the_standard_library_alone():
    """It is imported behind the walls, or sent to a server that has nothing of ours."""
    own = {name for name in modules() if name.rpartition(".")[2].startswith("in_sandbox_")}
    own |= {"verifiers.programs.plain_data", "verifiers.protocol_streams"}
    for name in own:
        assert imports()[name] <= own, path_of(name)
        assert imported(ast.walk(modules()[name])) <= {"verifiers", *sys.stdlib_module_names}, path_of(name)


def test_no_cycle_between_files():
    assert [sorted(cycle) for cycle in cycles(imports())] == []


def test_no_folder_is_crowded():
    folders = [*PACKAGES, "tests", "benchmarks"]
    counts = Counter(path.parent for folder in folders for path in (ROOT / folder).rglob("*.py") if path.name != "__init__.py")
    assert {folder.relative_to(ROOT).as_posix(): count for folder, count in counts.items() if count > MAX_MODULES} == {}


def test_verifiers_have_names_of_their_own():
    """A verifier's name in data is its file's stem, whatever its room."""
    found = Counter(name.rpartition(".")[2] for name in modules() if name.startswith("verifiers.") and not name.endswith("__init__"))
    taken = [stem for stem, count in found.items() if count > 1 and stem in own_modules()]
    assert taken == []
    assert all(importlib.util.find_spec(module) is not None for module in own_modules().values())


def test_modules_named_in_strings_and_texts_exist():
    """A move breaks these without a word: a process started by its module's name, a test's patch, a path in a docstring."""
    files = [file for folder in (*PACKAGES, "tests", "benchmarks") for file in sorted((ROOT / folder).rglob("*.py"))]
    own = {file.name for file in files}
    for file in files:
        where = file.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not _names_nothing(node.value.partition(":")[0]), f"{where}:{node.lineno}: {node.value}"
                assert not _missing(node.value, own), f"{where}:{node.lineno}: there is no {_missing(node.value, own)}"
    for page in (*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        assert not _missing(page.read_text(), own), f"{page.name}: there is no {_missing(page.read_text(), own)}"


def _names_nothing(text: str) -> bool:
    """Whether a string looks like one of our modules, or something in it, and is none."""
    return (
        bool(_NAMED.fullmatch(text))
        and not text.endswith(_HOSTS)
        and text not in ROOMS
        and module_in(text) is None
        and not (ROOT / text.replace(".", "/")).is_dir()
    )


def _missing(text: str, own: set[str]) -> list[str]:
    """The files that a text speaks of, by path or in backquotes by name, and that are not there."""
    paths = [path for path in _PATH.findall(text) if path.partition("/")[0] in (*PACKAGES, "tests", "benchmarks")]
    return [path for path in paths if not (ROOT / path).exists()] + [
        name for name in _FILE.findall(text) if name not in own and name.removesuffix(".py") not in sys.stdlib_module_names
    ]


def sources() -> Iterator[tuple[str, str, ast.Module]]:
    for name, tree in modules().items():
        yield name.partition(".")[0], path_of(name), tree


def imported(nodes: list[ast.stmt] | Iterator[ast.AST]) -> set[str]:
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            names.add((node.module or "").split(".")[0])
    return names


def test_init_files_are_empty():
    for _, path, tree in sources():
        assert not (path.endswith("__init__.py") and tree.body), f"{path}: a facade __init__ is how import cycles start"


def test_heavy_imports_stay_at_the_edge():
    for _, path, tree in sources():
        for name in imported(tree.body) & HEAVY:
            assert path.startswith(HEAVY_AT_TOP.get(name, ())), f"{path}: import {name} where it is used"


def test_nothing_is_too_long():
    for _, path, tree in sources():
        assert len((ROOT / path).read_text().splitlines()) <= MAX_FILE_LINES, path
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= MAX_FUNCTION_LINES, f"{path}:{node.lineno} {node.name} has {length} lines"


def test_verifiers_is_ours():
    """Another distribution on PyPI installs a package called `verifiers` too."""
    assert Path(next(iter(verifiers.__path__))) == ROOT / "verifiers"


def test_the_command_line_starts_without_the_heavy_packages():
    """`reckon --help`, `reckon verify` and an unknown option must not wait for torch."""
    code = "import sys, recipes.commands.cli, recipes.commands.verify, recipes.setup.options\n"
    code += "print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    done = subprocess.run([sys.executable, "-c", code, *sorted(HEAVY), "numpy"], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_the_table_and_the_picture_for_developers_are_of_today():
    from docs import draw_house

    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert draw_house.contributing(page) == page, "python -m docs.draw_house"
    assert (ROOT / "docs" / "house.svg").read_text(encoding="utf-8") == draw_house.picture(), "python -m docs.draw_house"
