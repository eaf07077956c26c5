"""In which group of `--help` an option stands, and whether it is rare: shown by `--help-all` alone.

One table for all commands, because an option means the same in each; `tests/recipes/spelling/test_help_page.py` holds it complete.
"""

from collections.abc import Iterable

FEW = 24
"""A command with so many options or fewer shows them all, in one group."""
_COMMON: dict[str, str] = {  # shown by --help
    "method": """
        algorithm kl_coef loss beta how to_go teacher kind start end target policy judge policies
    """,
    "model": """
        model tune lora_rank from_adapter dtype student reward_model base_model tiny hidden layers
    """,
    "data": """
        data subset split limit system_prompt order file out stores text_column messages_column prompt_column answer_column
        completion_column chosen_column rejected_column label_column max_length show_mask problems digits web by first second folders runs
        models repo environment labelled places tokenizer step set wrong right problem reward_part characters every patience
        mixture domain_column
    """,
    "reward": """
        reward verifier workers deadline reward_kind reward_by
    """,
    "sampling": """
        completions_per_problem problems_per_step max_completion_length temperature engine engines samples style max_turns rollouts keep
        per_problem
    """,
    "optimisation": """
        steps epochs rounds lr tokens_per_micro_batch examples_per_step gradient_checkpointing policy_workers packing
    """,
    "evaluation": """
        eval_data eval_every held_out reasoning lm_eval against rank_by trained_on reference_scores
    """,
    "run": """
        run overwrite resume seed checkpoint_every track config json
    """,
}
_RARE: dict[str, str] = {  # shown by --help-all as well
    "method": """
        clip_low clip_high overlong_cache max_refills ratio_cap accept_score k baseline n process_weight outcome_weight dual_clip gamma lam
        critic_lam length_adaptive truncation whiten kl_in critic critic_coef critic_lr critic_clip critic_warmup critic_rank critic_model
        kl reference ema_decay reference_every correction correction_level correction_high correction_low entropy_coef mask_truncated
        label_smoothing length_normalised nll_coef nll_mean nll_over desirable_weight undesirable_weight margin centering classifier
        reference_model teacher_by judged angle eta front front_problems replay keep_truncated cold_start general language_weight
        density shares train_on near examples smoothing graph graph_steps window
    """,
    "model": """
        gguf_file lora_alpha lora_targets lora_plus rslora dora quantization attention chat_template template_arg
    """,
    "data": """
        skip_bad_gold drop_answer_turn skip_long_prompts trust_data_verifiers skip_bad_rows too_long strict show_ids shuffle margin_column
        gold_column response_column gold pred explain worked_share private revision message
    """,
    "reward": """
        verifier_weight reward_samples reward_problems reward_per_problem reward_lr reward_epochs reward_batch reward_held_out min_score
    """,
    "sampling": """
        prefill engine_memory engine_sleep engine_option server_url server_folder ray_engine ray_address ahead max_sequences
        problems_per_chunk tool_seconds tool_output tools_at_once openenv_action
    """,
    "optimisation": """
        updates_per_rollout epochs_per_rollout layout tensor_parallel warmup schedule weight_decay adam_beta1 adam_beta2 adam_eps
        max_grad_norm warm_start recompute recompute_every offload_activations optimizer galore_rank galore_every galore_scale
        update_in_backward relora_every relora_warmup
    """,
    "evaluation": """
        eval
    """,
    "run": """
        run_name project stall_after store_tokens profile
    """,
}
GROUPS = tuple(_COMMON)
_GROUP_OF = {name: group for table in (_COMMON, _RARE) for group, names in table.items() for name in names.split()}
_SHOWN = frozenset(name for names in _COMMON.values() for name in names.split())


def group_of(name: str) -> str:
    """The group of an option, by its flat name; "run" where the table has none."""
    return _GROUP_OF.get(name, "run")


def is_known(name: str) -> bool:
    """Whether the table has this option."""
    return name in _GROUP_OF


def rare(names: Iterable[str]) -> frozenset[str]:
    """Those that `--help` leaves to `--help-all`; none where a command has few options altogether."""
    names = list(names)
    return frozenset() if len(names) <= FEW else frozenset(names) - _SHOWN
