"""What options are called by TRL (with transformers' `TrainingArguments`), verl and OpenRLHF, and what they are here.

Who comes from there writes their names, on the command line or in a file of options, and is told ours in one line, with what differs.
Nothing is translated in silence: a batch of theirs counts completions on one device, a step of ours counts problems.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

_HYDRA = re.compile(r"[+~]{0,2}([a-z_]+(?:\.[a-z_]+)+)=")


class Ours(NamedTuple):
    """The options here, the likeliest first, and what differs."""

    options: str
    differs: str = ""


_BATCH = "its size changes memory and never the gradient; how much a step learns from is --problems-per-step x --completions-per-problem"
_LOSS = "an algorithm is its loss, its weights and its advantage together; `reckon plan` prints them"
_VLLM = "an engine is chosen by name"
_RATIO = "the ratio is trainer to sampler; --correction truncate or mask, --correction-level token or sequence"
_LENGTH = "in completions of a step, there are --completions-per-problem for each of --problems-per-step"

_STEP = "examples of an optimiser step, all of them together; --tokens-per-micro-batch is the memory setting"

TRL_WRITTEN = {
    "assistant_only_loss": Ours("train_on", "every turn of the assistant's trains without a word"),
    "center_rewards_coefficient": Ours("centering"),
    "completion_only_loss": Ours("train_on", "of a prompt with its completion, only the completion trains"),
    "cpo_alpha": Ours("nll_coef", "the weight of the chosen side's likelihood"),
    "dataset_text_field": Ours("text_column"),
    "gradient_accumulation_steps": Ours("examples_per_step", _STEP),
    "loss_type": Ours("loss", "--loss sigmoid, hinge, ipo, robust or simpo; sigmoid_norm is --length-normalised"),
    "per_device_train_batch_size": Ours("examples_per_step", _STEP),
    "precompute_ref_log_probs": Ours("reference_scores", "--reference-scores FOLDER keeps them there"),
    "shuffle_dataset": Ours("shuffle"),
    "simpo_gamma": Ours("gamma"),
    "truncation_mode": Ours("too_long", "--too-long truncate keeps the beginning; without a word such examples are left out"),
}
"""TRL's names where data are given in writing (SFT, DPO, ORPO, KTO, reward models), whose steps count examples. They go first: a command
that lacks these options is answered from `TRL`."""

TRL = {
    "adam_epsilon": Ours("adam_eps"),
    "attn_implementation": Ours("attention"),
    "chat_template_kwargs": Ours("template_arg", "--template-arg NAME=VALUE"),
    "mask_truncated_completions": Ours("mask_truncated"),
    "num_iterations": Ours("epochs_per_rollout"),
    "beta": Ours("kl_coef", "the KL's coefficient; its estimator is --kl"),
    "bf16": Ours("dtype", "--dtype bf16; what trains is kept in float32"),
    "data_seed": Ours("seed", "one seed for everything"),
    "dataset_config": Ours("subset"),
    "dataset_name": Ours("data"),
    "dataset_test_split": Ours("eval_data held_out", "a file of its own, or so many problems drawn from --data by --held-out"),
    "dataset_train_split": Ours("split"),
    "epsilon": Ours("clip_low", "it is the lower distance only; the upper one is --clip-high"),
    "epsilon_high": Ours("clip_high", "CISPO's bound on the ratio is --ratio-cap"),
    "eval_steps": Ours("eval_every"),
    "eval_strategy": Ours("eval_every", "so many steps; 0: before the first and after the last"),
    "fp16": Ours("dtype", "--dtype bf16 or fp32; there is no float16"),
    "generation_batch_size": Ours("problems_per_step", _LENGTH),
    "gradient_accumulation_steps": Ours("tokens_per_micro_batch", f"a step is cut into micro-batches of so many tokens; {_BATCH}"),
    "importance_sampling_level": Ours("algorithm", "--algorithm gspo has one ratio a sequence"),
    "learning_rate": Ours("lr"),
    "lora_r": Ours("lora_rank"),
    "lora_target_modules": Ours("lora_targets", "comma-separated"),
    "loss_type": Ours("algorithm", _LOSS),
    "lr_scheduler_type": Ours("schedule"),
    "max_steps": Ours("steps"),
    "max_tool_calling_iterations": Ours("max_turns"),
    "model_name_or_path": Ours("model"),
    "max_new_tokens": Ours("max_completion_length"),
    "num_generations": Ours("completions_per_problem"),
    "num_train_epochs": Ours("epochs"),
    "output_dir": Ours("run"),
    "per_device_eval_batch_size": Ours("max_sequences", "completions that are sampled at once"),
    "per_device_train_batch_size": Ours("tokens_per_micro_batch", f"a micro-batch is measured in tokens; {_BATCH}"),
    "ref_model_mixup_alpha": Ours("ema_decay", "the share of the reference that stays, at every step: 1 minus theirs"),
    "report_to": Ours("track"),
    "resume_from_checkpoint": Ours("resume", "the run's folder; its options come with it"),
    "reward_weights": Ours("reward", "--reward NAME=WEIGHT"),
    "save_steps": Ours("checkpoint_every"),
    "save_strategy": Ours("checkpoint_every", "so many steps"),
    "scale_rewards": Ours("algorithm", "--algorithm dr_grpo does not divide by the standard deviation"),
    "steps_per_generation": Ours("updates_per_rollout", "optimiser steps on each rollout"),
    "sync_ref_model": Ours("reference", "--reference ema"),
    "teacher_model_name_or_path": Ours("teacher"),
    "use_dora": Ours("dora"),
    "use_peft": Ours("tune", "--tune lora, which is the default; or full"),
    "use_vllm": Ours("engine", f"{_VLLM}: --engine vllm, or server for a running one"),
    "vllm_enable_sleep_mode": Ours("engine_sleep"),
    "vllm_gpu_memory_utilization": Ours("engine_memory"),
    "vllm_importance_sampling_clip_max": Ours("correction_high"),
    "vllm_importance_sampling_clip_min": Ours("correction_low"),
    "vllm_importance_sampling_correction": Ours("correction", _RATIO),
    "vllm_importance_sampling_mode": Ours("correction", _RATIO),
    "vllm_mode": Ours("engine", f"{_VLLM}: vllm (colocate) or server"),
    "vllm_server_base_url": Ours("server_url"),
    "vllm_tensor_parallel_size": Ours("engine_option", "--engine-option tensor_parallel_size=N"),
    "warmup_steps": Ours("warmup"),
}  # fmt: skip

TRL_ELSEWHERE = {
    "max_prompt_length": Ours("skip_long_prompts max_length", "prompts are never cut"),
    "max_seq_length": Ours("max_length"),
    "reward_funcs": Ours("reward", "--reward NAME, or FILE.py:FUNCTION"),
    "rpo_alpha": Ours("nll_coef", "the weight of the chosen side's likelihood"),
    "warmup_ratio": Ours("warmup", "in optimiser steps"),
}
"""Names that TRL's configurations no longer have, or that only its scripts have."""

TRAINER = {
    "args": "each option by its name, as in steps=50",
    "eval_dataset": "held_out",
    "peft_config": "tune, as in tune=reckon.Lora(rank=8)",
    "processing_class": "tokenizer",
    "ref_model": "reference_model",
    "train_dataset": "data, or problems where a policy samples",
}
"""What its trainers' constructors take, besides `model` and what is an option there too."""

_ACTOR, _ROLLOUT, _MODEL = "actor_rollout_ref.actor", "actor_rollout_ref.rollout", "actor_rollout_ref.model"
VERL = {
    "trainer.experiment_name": Ours("run_name"),
    "trainer.project_name": Ours("project"),
    "algorithm.adv_estimator": Ours("algorithm", _LOSS),
    "algorithm.norm_adv_by_std_in_grpo": Ours("algorithm", "--algorithm dr_grpo does not divide by the standard deviation"),
    "algorithm.kl_ctrl.kl_coef": Ours("kl_coef", "a term of the loss, not of the reward"),
    "algorithm.kl_penalty": Ours("kl"),
    f"{_ACTOR}.clip_ratio": Ours("clip_low", "it is the lower distance only; the upper one is --clip-high"),
    f"{_ACTOR}.clip_ratio_high": Ours("clip_high"),
    f"{_ACTOR}.clip_ratio_low": Ours("clip_low"),
    f"{_ACTOR}.entropy_coeff": Ours("entropy_coef"),
    f"{_ACTOR}.grad_clip": Ours("max_grad_norm"),
    f"{_ACTOR}.kl_loss_coef": Ours("kl_coef"),
    f"{_ACTOR}.kl_loss_type": Ours("kl", "low_var_kl is k3"),
    f"{_ACTOR}.loss_agg_mode": Ours("algorithm", _LOSS),
    f"{_ACTOR}.optim.lr": Ours("lr"),
    f"{_ACTOR}.optim.lr_warmup_steps": Ours("warmup"),
    f"{_ACTOR}.optim.warmup_style": Ours("schedule"),
    f"{_ACTOR}.optim.weight_decay": Ours("weight_decay"),
    f"{_ACTOR}.policy_loss.loss_mode": Ours("algorithm", _LOSS),
    f"{_ACTOR}.ppo_epochs": Ours("epochs_per_rollout"),
    f"{_ACTOR}.ppo_max_token_len_per_gpu": Ours("tokens_per_micro_batch"),
    f"{_ACTOR}.ppo_micro_batch_size_per_gpu": Ours("tokens_per_micro_batch", f"a micro-batch is measured in tokens; {_BATCH}"),
    f"{_ACTOR}.ppo_mini_batch_size": Ours("updates_per_rollout", "into how many parts a rollout is cut, an optimiser step each"),
    f"{_ACTOR}.use_kl_loss": Ours("kl_coef", "any number above 0 switches it on"),
    f"{_MODEL}.enable_gradient_checkpointing": Ours("gradient_checkpointing"),
    f"{_MODEL}.lora_alpha": Ours("lora_alpha"),
    f"{_MODEL}.lora_rank": Ours("lora_rank"),
    f"{_MODEL}.path": Ours("model"),
    f"{_MODEL}.target_modules": Ours("lora_targets", "comma-separated"),
    f"{_ROLLOUT}.gpu_memory_utilization": Ours("engine_memory"),
    f"{_ROLLOUT}.max_num_seqs": Ours("max_sequences"),
    f"{_ROLLOUT}.multi_turn.max_assistant_turns": Ours("max_turns", "it counts the environment's replies"),
    f"{_ROLLOUT}.multi_turn.max_tool_response_length": Ours("tool_output", "in characters"),
    f"{_ROLLOUT}.n": Ours("completions_per_problem"),
    f"{_ROLLOUT}.name": Ours("engine"),
    f"{_ROLLOUT}.response_length": Ours("max_completion_length"),
    f"{_ROLLOUT}.temperature": Ours("temperature"),
    f"{_ROLLOUT}.tensor_model_parallel_size": Ours("engine_option", "--engine-option tensor_parallel_size=N"),
    "custom_reward_function.path": Ours("reward", "--reward FILE.py:FUNCTION"),
    "data.apply_chat_template_kwargs": Ours("template_arg", "--template-arg NAME=VALUE"),
    "data.filter_overlong_prompts": Ours("skip_long_prompts"),
    "data.max_response_length": Ours("max_completion_length"),
    "data.prompt_key": Ours("prompt_column"),
    "data.train_batch_size": Ours("problems_per_step"),
    "data.train_files": Ours("data"),
    "data.val_files": Ours("eval_data"),
    "trainer.default_local_dir": Ours("run"),
    "trainer.logger": Ours("track"),
    "trainer.resume_from_path": Ours("resume", "the run's folder; its options come with it"),
    "trainer.save_freq": Ours("checkpoint_every"),
    "trainer.test_freq": Ours("eval_every"),
    "trainer.total_epochs": Ours("epochs"),
    "trainer.total_training_steps": Ours("steps"),
}  # fmt: skip

OPENRLHF = {
    **{name: TRL[name] for name in ("attn_implementation", "bf16", "eval_steps", "max_new_tokens", "save_steps")},
    "actor_learning_rate": Ours("lr"),
    "actor_num_gpus_per_node": Ours("policy_workers", "all of them, over all nodes"),
    "advantage_estimator": Ours("algorithm", "gae: `reckon ppo`; group_norm: grpo; reinforce: reinforce++; reinforce_baseline: "
                                             "reinforce++-baseline; rloo and dr_grpo as they are"),
    "agent_func_path": Ours("environment", "of `reckon grpo-tools`"),
    "apply_chat_template": Ours("chat_template", "on where the tokenizer has one; it is switched off by its no- form"),
    "async_train": Ours("ahead", "--ahead 1 samples one step ahead"),
    "ckpt_path": Ours("run", "checkpoints are in the run's folder"),
    "critic_learning_rate": Ours("critic_lr"),
    "critic_pretrain": Ours("critic_model", "with --critic separate"),
    "dynamic_filtering": Ours("algorithm", "--algorithm dapo replaces groups that are all right or all wrong"),
    "enable_vllm_is_correction": Ours("correction", _RATIO),
    "entropy_loss_coef": Ours("entropy_coef"),
    "eps_clip": Ours("clip_low clip_high", "here each side has its own"),
    "eps_clip_low_high": Ours("clip_low clip_high"),
    "eval_dataset": Ours("eval_data"),
    "freezing_actor_steps": Ours("critic_warmup"),
    "generate_max_len": Ours("max_completion_length"),
    "init_kl_coef": Ours("kl_coef", "a term of the loss; with `reckon ppo --kl-in reward` of the reward"),
    "input_key": Ours("prompt_column"),
    "kl_estimator": Ours("kl"),
    "l2": Ours("weight_decay"),
    "label_key": Ours("answer_column"),
    "lambd": Ours("lam"),
    "load_checkpoint": Ours("resume", "the run's folder; its options come with it"),
    "lr_scheduler": Ours("schedule"),
    "lr_warmup_ratio": Ours("warmup", "in optimiser steps"),
    "max_epochs": Ours("epochs_per_rollout", "passes over a rollout; over the data: --epochs"),
    "max_norm": Ours("max_grad_norm"),
    "max_samples": Ours("limit"),
    "micro_train_batch_size": Ours("tokens_per_micro_batch", f"a micro-batch is measured in tokens; {_BATCH}"),
    "n_samples_per_prompt": Ours("completions_per_problem"),
    "no_advantage_std_norm": Ours("algorithm", "--algorithm dr_grpo does not divide by the standard deviation"),
    "num_episodes": Ours("epochs", "passes over the data"),
    "overlong_buffer_len": Ours("overlong_cache", "of --algorithm dapo"),
    "packing_samples": Ours("layout packing", "--layout packed; auto does it where the model allows it"),
    "policy_loss_type": Ours("algorithm", "--algorithm gspo has one ratio a sequence"),
    "pretrain": Ours("model"),
    "prompt_data": Ours("data"),
    "prompt_data_probs": Ours("data", "--data PLACE=WEIGHT"),
    "prompt_split": Ours("split"),
    "remote_rm_url": Ours("reward", "--reward 'reward_model(\"http://HOST/pooling\")', or FILE.py:FUNCTION"),
    "reward_pretrain": Ours("reward", "--reward 'reward_model(FOLDER)'"),
    "rollout_batch_size": Ours("problems_per_step", _LENGTH),
    "save_path": Ours("run"),
    "target_modules": Ours("lora_targets", "comma-separated"),
    "train_max_tokens_per_gpu": Ours("tokens_per_micro_batch"),
    "use_tensorboard": Ours("track", "--track tensorboard"),
    "use_wandb": Ours("track", "--track wandb"),
    "value_clip": Ours("critic_clip"),
    "vllm_enable_sleep": Ours("engine_sleep"),
    "vllm_is_truncated_threshold": Ours("correction_high"),
    "vllm_num_engines": Ours("engines", "with --engine ray"),
    "wandb_project": Ours("project"),
    "wandb_run_name": Ours("run_name"),
}  # fmt: skip
"""Of its `train_ppo_ray`, which speaks of most; names that mean the same here (gamma, dual_clip, lora_rank) need no answer."""


def here(name: str, known: Collection[str]) -> str | None:
    """Says what an option of TRL's, verl's or OpenRLHF's is called among the `known` ones of a command; None where it is nobody's.

    verl's options may be given by their last part alone, which is how its examples speak of them.
    """
    bare = name.strip("-").replace("-", "_")
    written = TRL_WRITTEN.get(bare, TRL_ELSEWHERE.get(bare))
    there = written is not None and any(option in known for option in written.options.split())
    found, whose = written if there else TRL.get(bare, written), "TRL"
    if found is None:
        whole = bare if bare in VERL else next((path for path in VERL if path.endswith(f".{bare}") and "_" in bare), "")
        found, whose = VERL.get(whole), "verl"
    if found is None:
        found, whose = OPENRLHF.get(bare), "OpenRLHF"
    if found is None:
        return None
    options = [option for option in found.options.split() if option in known]
    if not options:
        return f"{bare} is {whose}'s, and nothing here"
    flags = " or ".join("--" + option.replace("_", "-") for option in options)
    return f"{bare} is {whose}'s name; here it is {flags}" + (f" ({found.differs})" if found.differs else "")


def trainer_argument(name: str) -> str | None:
    """The same of what a trainer of TRL's is made with, for a function of ours."""
    return f"{name} is TRL's name; here it is {TRAINER[name]}" if name in TRAINER else None


def hydra_name(argument: str) -> str | None:
    """verl's option in a word such as actor_rollout_ref.rollout.n=8; None where it is none of verl's."""
    found = _HYDRA.match(argument)
    return found[1] if found and found[1] in VERL else None


def dotted(name: str, value: Any) -> Iterator[str]:
    """The paths that a name in a file leads to, as verl writes them: actor_rollout_ref.rollout.n."""
    if isinstance(value, Mapping):
        for inner, below in value.items():
            yield from dotted(f"{name}.{inner}", below)
    else:
        yield name
