"""Compute the logits of `reference_cases.CASES` with PyTorch and transformers into reference.npz beside this file.

Run by hand where both are installed (`pip install torch transformers`); the suite reads the result only.
"""

from pathlib import Path

import numpy as np
import torch
import transformers
from reference_cases import CASES, Case


def llama(case: Case) -> torch.nn.Module:
    config = transformers.LlamaConfig(
        hidden_size=case.dim,
        intermediate_size=case.hidden,
        num_hidden_layers=case.layers,
        num_attention_heads=case.heads,
        num_key_value_heads=case.kv_heads,
        head_dim=case.head_dim,
        vocab_size=case.vocabulary,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        hidden_act=case.activation,
        rope_parameters={"rope_type": "default", "rope_theta": case.theta, **case.rope},
        tie_word_embeddings=case.tied,
        attention_bias=case.bias,
        mlp_bias=case.bias,
        attn_implementation="sdpa",
    )
    names = {"wq": "self_attn.q_proj", "wk": "self_attn.k_proj", "wv": "self_attn.v_proj", "wo": "self_attn.o_proj"}
    names |= {"w_gate": "mlp.gate_proj", "w_up": "mlp.up_proj", "w_down": "mlp.down_proj"}
    names |= {"attention_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    names |= {"embedding": "model.embed_tokens", "final_norm": "model.norm", "output": "lm_head"}
    state = {}
    for name, values in case.weights().items():
        parts = name.split(".")
        kind = "bias" if parts[-1] == "bias" else "weight"
        parts = parts[:-1] if kind == "bias" else parts
        prefix = f"model.layers.{parts[1]}." if parts[0] == "layers" else ""
        state[f"{prefix}{names[parts[-1]]}.{kind}"] = torch.from_numpy(values)
    model = transformers.LlamaForCausalLM(config)
    if case.tied:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state, strict=True)
    return model


def neox(case: Case) -> torch.nn.Module:
    config = transformers.GPTNeoXConfig(
        hidden_size=case.dim,
        intermediate_size=case.hidden,
        num_hidden_layers=case.layers,
        num_attention_heads=case.heads,
        vocab_size=case.vocabulary,
        max_position_embeddings=512,
        layer_norm_eps=1e-5,
        hidden_act=case.activation,
        rope_parameters={"rope_type": "default", "rope_theta": case.theta, "partial_rotary_factor": 1.0},
        tie_word_embeddings=False,
        use_parallel_residual=False,
    )
    ours = {name: torch.from_numpy(values) for name, values in case.weights().items()}
    state = {"gpt_neox.embed_in.weight": ours["embedding"], "lm_head.weight": ours["output"]}
    names = {"wo": "attention.dense", "w_up": "mlp.dense_h_to_4h", "w_down": "mlp.dense_4h_to_h"}
    names |= {"attention_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    for ending, kind in (("", "weight"), (".bias", "bias")):
        state[f"gpt_neox.final_layer_norm.{kind}"] = ours[f"final_norm{ending}"]
        for i in range(case.layers):
            for own, theirs in names.items():
                state[f"gpt_neox.layers.{i}.{theirs}.{kind}"] = ours[f"layers.{i}.{own}{ending}"]
            # Theirs stands head by head: rows of q, of k, of v.
            parts = [
                ours[f"layers.{i}.{own}{ending}"].reshape(case.heads, case.head_dim, -1) for own in ("wq", "wk", "wv")
            ]
            fused = torch.stack(parts, dim=1).reshape(3 * case.dim, -1)
            state[f"gpt_neox.layers.{i}.attention.query_key_value.{kind}"] = fused[:, 0] if ending else fused
    model = transformers.GPTNeoXForCausalLM(config)
    model.load_state_dict(state, strict=True)
    return model


def main() -> None:
    logits = {}
    for case in CASES:
        model = {"llama": llama, "neox": neox}[case.family](case).double().eval()
        with torch.no_grad():
            result = model(torch.tensor([case.prompt()])).logits[0]
        logits[case.name] = result.numpy().astype(np.float32)
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **logits)


if __name__ == "__main__":
    main()
