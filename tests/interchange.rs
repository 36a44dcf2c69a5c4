//! Models from elsewhere: what they compute there is what they compute here, and what can't be computed is refused by name.
//!
//! `tests/fixtures/models.py` makes the models, and what PyTorch computes with them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use crossover::corpus::Tokenizer;
use crossover::model::{Decoder, Dropout, ModelConfig, Ops, Visibility, Weights};
use crossover::objective::{Likelihood, Objective};
use crossover::train::checkpoint::Moments;
use crossover::train::hugging_face::{read, read_model, write};
use crossover::train::{Checkpoint, Extent, Precision, State};
use program::{Ran, crossover};
use safetensors::SafeTensors;
use serde_json::{Value, json};

const EVERY: [&str; 6] = [
    "qwen3",
    "qwen3-sharded",
    "llama",
    "qwen3-moe",
    "llada",
    "megadlms",
];

/// How far logits may lie from PyTorch's.
const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(name)
}

fn imported(name: &str) -> Checkpoint {
    read(fixture(name).to_str().unwrap(), None).unwrap()
}

/// A copy that may be changed.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("model")).unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        let to = folder.path().join("model").join(path.file_name().unwrap());
        fs::copy(path, to).unwrap();
    }
    folder
}

/// `[rows * length, vocab_size]`, row after row.
fn logits(checkpoint: &Checkpoint, ids: &[u32], length: usize, ops: Ops) -> Vec<f32> {
    let visibility = match checkpoint.objective.headline() {
        Likelihood::Autoregressive => Visibility::Causal,
        Likelihood::Masked | Likelihood::Block => Visibility::Full,
    };
    let shape = checkpoint.shape().unwrap();
    let model = Decoder::new(
        &checkpoint.model,
        &shape,
        &checkpoint.weights,
        &Device::flex(),
    )
    .unwrap()
    .with_ops(ops);
    let hidden = model.hidden(ids, length, visibility, &Dropout::Off);
    let logits = model.logits(hidden);
    pollster::block_on(logits.into_data_async())
        .unwrap()
        .iter::<f32>()
        .collect()
}

/// Ids and logits of PyTorch: `[2 * length]` and `[2 * length, rows]`.
struct Golden {
    ids: Vec<u32>,
    length: usize,
    logits: Vec<f32>,
    rows: usize,
}

fn golden(name: &str) -> Golden {
    let bytes = fs::read(fixture(name).join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (ids, logits) = (file.tensor("ids").unwrap(), file.tensor("logits").unwrap());
    let words = |data: &[u8]| -> Vec<[u8; 4]> {
        let words = data.chunks_exact(4);
        words.map(|word| word.try_into().unwrap()).collect()
    };
    Golden {
        ids: words(ids.data())
            .into_iter()
            .map(u32::from_le_bytes)
            .collect(),
        length: ids.shape()[1],
        logits: words(logits.data())
            .into_iter()
            .map(f32::from_le_bytes)
            .collect(),
        rows: logits.shape()[2],
    }
}

#[test]
fn logits_are_those_of_the_libraries_that_models_come_from() {
    for name in EVERY {
        let checkpoint = imported(name);
        let golden = golden(name);
        for ops in [Ops::Fused, Ops::Reference] {
            let ours = logits(&checkpoint, &golden.ids, golden.length, ops);
            let columns = checkpoint.shape().unwrap().vocab_size;
            assert!(columns >= golden.rows);
            let theirs = golden.logits.chunks_exact(golden.rows);
            let mut furthest = 0.0_f32;
            let mut largest = 0.0_f32;
            for (ours, theirs) in ours.chunks_exact(columns).zip(theirs) {
                for (ours, theirs) in ours.iter().zip(theirs) {
                    furthest = furthest.max((ours - theirs).abs());
                    largest = largest.max(theirs.abs());
                }
            }
            eprintln!("{name}, {ops:?}: {furthest:e} of {largest}");
            assert!(furthest < TOLERANCE, "{name}, {ops:?}: {furthest:e}");
            assert!(largest > 1.0, "{name}: the logits say something");
        }
    }
}

#[test]
fn what_a_text_begins_with_and_mask_have_the_last_row() {
    for (name, masking, vocab_size) in [
        // Qwen3 has nothing to begin with but what ends a text.
        ("qwen3", 276, 289),
        ("llama", 276, 279),
        ("llada", 279, 289),
        // Has the last row already.
        ("megadlms", 279, 280),
    ] {
        let checkpoint = imported(name);
        let last = vocab_size - 1;
        assert_eq!(checkpoint.shape().unwrap().vocab_size, vocab_size, "{name}");
        assert_eq!(checkpoint.tokenizer.mask_id() as usize, last, "{name}");
        let with = |id: u32| logits(&checkpoint, &[5, id, 7, 9], 4, Ops::Fused);
        assert_eq!(with(masking), with(last as u32), "{name}");
    }
    let ends = |name: &str| imported(name).tokenizer.end_of_text();
    assert_eq!((ends("qwen3"), ends("llama")), (Some(276), Some(277)));
    assert_eq!((ends("llada"), ends("megadlms")), (Some(0), Some(0)));
}

#[test]
fn shards_hold_the_model_that_one_file_holds() {
    let mut one = imported("qwen3");
    assert!(imported("qwen3-sharded") == one);
    let file = |name: &str| read(fixture(name).to_str().unwrap(), Some(20)).unwrap();
    one.length = 20;
    assert!(file("qwen3/model.safetensors") == one);
    assert!(file("qwen3-sharded/model.safetensors.index.json") == one);
}

#[test]
fn texts_have_the_ids_that_tokenizers_gives_them() {
    for name in EVERY {
        let texts = fs::read_to_string(fixture(name).join("tokens.json")).unwrap();
        let texts: Vec<Value> = serde_json::from_str(&texts).unwrap();
        assert!(texts.len() > 3);
        let tokenizer = imported(name).tokenizer;
        for text in &texts {
            let (text, ids) = (text["text"].as_str().unwrap(), &text["ids"]);
            let ours = tokenizer.encode(text).unwrap();
            assert_eq!(json!(ours), *ids, "{name}: {text:?}");
            assert_eq!(tokenizer.decode(&ours), text, "{name}");
        }
        // Nobody may write into a text what only the program says.
        let end = tokenizer.encode("<|endoftext|>").unwrap();
        assert!(end.len() > 1, "{name}: {end:?}");
    }
}

/// Writes a checkpoint as a folder and reads that.
fn there_and_back(checkpoint: &Checkpoint, precision: Precision) -> (Checkpoint, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let path = path.to_str().unwrap();
    write(checkpoint, path, precision).unwrap();
    let config = fs::read(format!("{path}/config.json")).unwrap();
    (
        read_model(path, Extent::Weights).unwrap(),
        serde_json::from_slice(&config).unwrap(),
    )
}

#[test]
fn a_model_that_was_written_and_read_again_has_the_same_logits_to_the_bit() {
    for name in EVERY {
        let first = imported(name);
        let (second, _) = there_and_back(&first, Precision::F32);
        assert_eq!(second.weights, first.weights, "{name}");
        let golden = golden(name);
        let logits = |checkpoint| logits(checkpoint, &golden.ids, golden.length, Ops::Fused);
        assert_eq!(logits(&second), logits(&first), "{name}");
        assert_eq!(second.tokenizer.vocab(), first.tokenizer.vocab(), "{name}");
        assert_eq!(
            second.tokenizer.end_of_text(),
            first.tokenizer.end_of_text()
        );
        assert_eq!(
            (second.length, second.objective),
            (first.length, first.objective)
        );
    }
}

/// An untrained model of ours.
fn ours(objective: Objective, tokenizer: Tokenizer, model: ModelConfig) -> Checkpoint {
    let shape = model.resolve(tokenizer.vocab_size()).unwrap();
    let weights = Weights::initial(&shape, 0.3, 1);
    Checkpoint {
        objective,
        model,
        length: 2048,
        block_size: (objective == Objective::Block).then_some(8),
        tokenizer,
        moments: Some(Moments {
            first: weights.clone(),
            second: weights.clone(),
        }),
        weights,
        trained_weights: None,
        state: State::new(1),
    }
}

#[test]
fn models_of_ours_go_out_under_the_name_of_what_computes_them() {
    use Objective::{Autoregressive, Block, Dual, Masked};
    let small = ModelConfig {
        hidden_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        ..ModelConfig::default()
    };
    let plain = ModelConfig {
        qk_norm: false,
        tie_word_embeddings: true,
        ..small.clone()
    };
    let experts = ModelConfig {
        num_experts: Some(4),
        ..small.clone()
    };
    let shared = ModelConfig {
        shared_expert_intermediate_size: Some(8),
        ..experts.clone()
    };
    let text = b"a bad cab, abc; a cabbage\n";
    let of = |name: &str| Tokenizer::for_documents(name, [Ok(text)]).unwrap();
    let words = || of("bpe:260").with_end_of_text();
    for (objective, tokenizer, model, class) in [
        (Autoregressive, of("char"), &small, "Qwen3ForCausalLM"),
        (Dual, words(), &small, "Qwen3ForCausalLM"),
        (Autoregressive, of("byte"), &plain, "LlamaForCausalLM"),
        (Autoregressive, words(), &experts, "Qwen3MoeForCausalLM"),
        (
            Autoregressive,
            of("char"),
            &shared,
            "CrossoverMoeForCausalLM",
        ),
        (Masked, of("char").with_end_of_text(), &small, "DiffLM"),
        (Masked, words(), &plain, "LLaDAModelLM"),
        (Masked, of("byte"), &experts, "CrossoverMoeForCausalLM"),
        (Block, of("char"), &small, "CrossoverForMaskedLM"),
        (Block, of("char"), &plain, "CrossoverForMaskedLM"),
    ] {
        let sent = ours(objective, tokenizer, model.clone());
        let (back, config) = there_and_back(&sent, Precision::F32);
        assert_eq!(config["architectures"], json!([class]));
        assert_eq!(config["eos_token_id"], json!(sent.tokenizer.end_of_text()));
        let shape = sent.shape().unwrap();
        assert_eq!(back.shape().unwrap(), shape, "{class}");
        assert_eq!(back.weights, sent.weights, "{class}");
        assert_eq!(back.moments, None);
        let facts = |model: &Checkpoint| (model.objective, model.length, model.block_size);
        assert_eq!(facts(&back), facts(&sent), "{class}");
        assert_eq!(back.tokenizer.vocab(), sent.tokenizer.vocab(), "{class}");
        let ids = sent.tokenizer.encode("a cab").unwrap();
        assert_eq!(back.tokenizer.encode("a cab").unwrap(), ids, "{class}");
        let logits = |model: &Checkpoint| logits(model, &ids, ids.len(), Ops::Fused);
        assert_eq!(logits(&back), logits(&sent), "{class}");

        let (halved, _) = there_and_back(&sent, Precision::Bf16);
        assert_ne!(halved.weights, sent.weights);
        // Fused and composed attention agree, with normalised queries and keys and without.
        let composed = self::logits(&sent, &ids, ids.len(), Ops::Reference);
        for (fused, composed) in logits(&sent).iter().zip(&composed) {
            assert!((fused - composed).abs() < TOLERANCE, "{class}");
        }
    }
}

#[test]
fn models_without_normalised_queries_and_keys_train_and_go_out_as_llama_and_llada() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let config = "[model]\nqk_norm = false\nhidden_size = 16\nnum_hidden_layers = 1\nnum_attention_heads = 2\n\
                  [train]\nbatch = 8\nsteps = 60\nlearning_rate = 1e-2\n";
    fs::write(path.join("plain.toml"), config).unwrap();
    fs::write(
        path.join("squares.txt"),
        "1234523451345124512351234\n".repeat(9),
    )
    .unwrap();
    let source = [
        "--corpus",
        "grids:latin-5",
        "--unique",
        "2500",
        "--held-out",
        "250",
    ];
    let race = [
        &["race", "--config", "plain.toml", "--device", "cpu"],
        &source[..],
    ]
    .concat();
    let race = [&race[..], &["--out", "run", "--json"]].concat();
    let raced = ran(path, &race).ended(0).result();
    // Nothing learnt is ln 5 = 1.609.
    assert!(raced["ar_best_nats"].as_f64().unwrap() < 1.55, "{raced}");
    for (model, class) in [("ar", "LlamaForCausalLM"), ("masked", "LLaDAModelLM")] {
        let checkpoint = format!("run/checkpoints/last-{model}.safetensors");
        ran(path, &["export", "--checkpoint", &checkpoint, "-o", model]).ended(0);
        let config = fs::read(path.join(model).join("config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["architectures"], json!([class]));
        let nats = |model: &str| {
            let flags = ["--text", "squares.txt", "--device", "cpu", "--json"];
            let flags = [&["evaluate", "--checkpoint", model], &flags[..]].concat();
            ran(path, &flags).ended(0).result()["nats"].clone()
        };
        // The symbols of a grid have no line breaks, there as here.
        assert_eq!(nats(model), nats(&checkpoint));
    }
}

/// An imported checkpoint keeps its tokenizer's numbers, in a file of ours too.
#[test]
fn an_imported_model_is_a_checkpoint_like_any_other() {
    for name in EVERY {
        let first = imported(name);
        let bytes = first.to_bytes().unwrap();
        let read = Checkpoint::from_bytes(&bytes, name).unwrap();
        assert!(read == first, "{name}: {:?}\n{:?}", read.model, first.model);
    }
}

fn ran(folder: &Path, arguments: &[&str]) -> Ran {
    crossover(folder, arguments)
}

#[test]
fn imported_models_write_and_are_measured() {
    let text = "the cat in the hat, the rat's 1234 tails, and grün. ".repeat(12);
    for name in ["qwen3-sharded", "llama", "qwen3-moe", "llada", "megadlms"] {
        let folder = copy(name);
        let path = folder.path();
        fs::write(path.join("text.txt"), &text).unwrap();
        let import = ["import", "model", "-o", "model.safetensors", "--json"];
        let imported = ran(path, &import).ended(0).result();
        let size = fs::metadata(path.join("model.safetensors")).unwrap().len();
        assert_eq!(
            imported,
            json!({"event": "result", "file": "model.safetensors", "bytes": size})
        );
        let nats = |model: &str| {
            let flags = ["--text", "text.txt", "--device", "cpu", "--json"];
            let flags = [&["evaluate", "--checkpoint", model], &flags[..]].concat();
            ran(path, &flags).ended(0).result()["nats"]
                .as_f64()
                .unwrap()
        };
        // A folder does where a checkpoint does.
        assert_eq!(nats("model"), nats("model.safetensors"), "{name}");
        let flags = [
            "--length", "12", "--prompt", "the cat", "--device", "cpu", "--trace", "t.jsonl",
        ];
        let flags = [&["sample", "--checkpoint", "model.safetensors"], &flags[..]].concat();
        let sampled = ran(path, &flags).ended(0);
        assert!(
            sampled.out.starts_with("the cat"),
            "{name}: {}",
            sampled.out
        );
        ran(path, &["trace", "check", "t.jsonl"]).ended(0);
        let branch = [
            "trace",
            "branch",
            "t.jsonl",
            "--checkpoint",
            "model",
            "--step",
            "1",
        ];
        let branch = [
            &branch[..],
            &["--mask", "11", "--out", "b.jsonl", "--device", "cpu"],
        ]
        .concat();
        ran(path, &branch).ended(0);

        let export = ["export", "--checkpoint", "model.safetensors", "-o", "again"];
        ran(path, &export).ended(0);
        assert_eq!(nats("again"), nats("model"), "{name}");
        let refused = ran(path, &export).ended(2);
        assert!(
            refused.err.contains("already holds files"),
            "{}",
            refused.err
        );
    }
}

/// Imports a model that was changed, which fails for a reason that names a place, and writes nothing.
#[track_caller]
fn refused(name: &str, change: impl FnOnce(&Path), told: &[&str]) {
    let folder = copy(name);
    change(&folder.path().join("model"));
    let ran = ran(
        folder.path(),
        &["import", "model", "--out", "x.safetensors"],
    )
    .ended(2);
    for told in told {
        assert!(ran.err.contains(told), "{told}\n{}", ran.err);
    }
    let first = ran.err.lines().next().unwrap();
    assert!(
        first.starts_with("error: ") && first.contains("model/"),
        "{first}"
    );
    let hint = ran.err.lines().nth(1).unwrap_or_default();
    assert!(hint.starts_with("hint: "), "{}", ran.err);
    assert!(
        ran.err.lines().count() == 2 && ran.out.is_empty(),
        "{}",
        ran.err
    );
    assert!(!folder.path().join("x.safetensors").exists());
}

/// Changes `config.json`.
fn set(key: &'static str, value: Value) -> impl FnOnce(&Path) {
    move |folder| {
        let path = folder.join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config[key] = value;
        fs::write(path, serde_json::to_vec_pretty(&config).unwrap()).unwrap();
    }
}

/// Writes the single file of weights again, changed.
fn with_tensors(
    change: impl FnOnce(&mut Vec<(String, safetensors::Dtype, Vec<usize>, Vec<u8>)>),
) -> impl FnOnce(&Path) {
    move |folder| {
        let path = folder.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors = file
            .iter()
            .map(|(name, view)| {
                (
                    name.to_owned(),
                    view.dtype(),
                    view.shape().to_vec(),
                    view.data().to_vec(),
                )
            })
            .collect();
        change(&mut tensors);
        let views = tensors.iter().map(|(name, dtype, shape, data)| {
            let view = safetensors::tensor::TensorView::new(*dtype, shape.clone(), data);
            (name.clone(), view.unwrap())
        });
        fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    }
}

#[test]
fn a_configuration_that_can_t_be_computed_is_refused_with_its_line() {
    let gone =
        |file: &'static str| move |folder: &Path| fs::remove_file(folder.join(file)).unwrap();
    refused(
        "qwen3",
        gone("config.json"),
        &["`model/config.json`", "Hugging Face's layout"],
    );
    refused(
        "qwen3",
        |folder| fs::write(folder.join("config.json"), "[]").unwrap(),
        &["no JSON object"],
    );
    refused(
        "qwen3",
        set("architectures", json!(["GPT2LMHeadModel"])),
        &[
            "`model/config.json`, line 2: `architectures` is `[\"GPT2LMHeadModel\"]`",
            "`Qwen3ForCausalLM`",
            "`LLaDAModelLM`",
        ],
    );
    refused(
        "qwen3",
        set("architectures", json!(["Qwen2ForCausalLM"])),
        &["line 2", "nearest", "Qwen3ForCausalLM"],
    );
    refused(
        "qwen3",
        set("architectures", Value::Null),
        &["`architectures` is `null`"],
    );
    refused(
        "qwen3",
        set("attention_bias", json!(true)),
        &["line 5: `attention_bias` is `true`; expected `false`"],
    );
    refused(
        "llama",
        set("mlp_bias", json!(true)),
        &["`mlp_bias` is `true`"],
    );
    refused(
        "llama",
        set("hidden_act", json!("gelu")),
        &["`hidden_act` is `\"gelu\"`; expected `\"silu\"`"],
    );
    for (key, rope) in [
        ("rope_scaling", json!({"type": "linear", "factor": 2.0})),
        (
            "rope_parameters",
            json!({"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0}),
        ),
        (
            "rope_parameters",
            json!({"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}),
        ),
    ] {
        refused(
            "llama",
            set(key, rope),
            &[&format!("`{key}` is"), "expected the type `default`"],
        );
    }
    refused(
        "qwen3",
        set("use_sliding_window", json!(true)),
        &["`use_sliding_window`"],
    );
    refused(
        "qwen3",
        set(
            "layer_types",
            json!(["full_attention", "sliding_attention"]),
        ),
        &["`layer_types`"],
    );
    refused(
        "qwen3",
        set("quantization_config", json!({"bits": 4})),
        &["`quantization_config`"],
    );
    refused(
        "qwen3",
        set("hidden_size", json!("wide")),
        &["`hidden_size` is `\"wide\"`", "a whole number"],
    );
    refused(
        "qwen3",
        set("num_hidden_layers", json!(0)),
        &["`num_hidden_layers` is `0`"],
    );
    refused(
        "qwen3",
        set("eos_token_id", Value::Null),
        &["`bos_token_id`", "the id that a text begins with"],
    );
    refused(
        "qwen3",
        set("eos_token_id", json!(288)),
        &["`eos_token_id` is `288`; expected an id below 288"],
    );
    refused(
        "megadlms",
        set("mask_token_id", Value::Null),
        &["`mask_token_id`", "the id of MASK"],
    );
    refused(
        "megadlms",
        set("attn_mask_type", json!("causal")),
        &["`attn_mask_type`", "bidirectional"],
    );
    refused(
        "llada",
        set("include_qkv_bias", json!(true)),
        &["`include_qkv_bias` is `true`"],
    );
    refused(
        "llada",
        set("scale_logits", json!(true)),
        &["`scale_logits` is `true`"],
    );
    refused(
        "llada",
        set("block_type", json!("sequential")),
        &["`block_type`", "expected `\"llama\"`"],
    );
    refused(
        "qwen3-moe",
        set("mlp_only_layers", json!([0])),
        &["`mlp_only_layers`"],
    );
    refused(
        "qwen3-moe",
        set("num_local_experts", Value::Null),
        &["`num_local_experts`"],
    );
    // 200 TB.
    refused(
        "qwen3",
        |folder| {
            set("num_hidden_layers", json!(1 << 20))(folder);
            set("intermediate_size", json!(1 << 20))(folder);
        },
        &[
            "the model of `model/config.json` has",
            "in f32, and this machine has",
        ],
    );
    refused(
        "qwen3",
        set("format_version", json!(99)),
        &["made by a newer Crossover"],
    );
}

#[test]
fn weights_that_don_t_fit_are_refused_with_their_file() {
    refused(
        "qwen3-sharded",
        |folder| fs::remove_file(folder.join("model-00003-of-00004.safetensors")).unwrap(),
        &[
            "`model/model.safetensors.index.json`, line ",
            "expects a file `model/model-00003-of-00004.safetensors`, and there is none",
        ],
    );
    refused(
        "qwen3-sharded",
        |folder| {
            let shard = |number| folder.join(format!("model-0000{number}-of-00004.safetensors"));
            fs::copy(shard(1), shard(2)).map(|_| ()).unwrap();
        },
        &[
            "index.json`, line ",
            "expects the tensor",
            "`model-00002-of-00004.safetensors`, which has none",
        ],
    );
    refused(
        "qwen3",
        |folder| fs::remove_file(folder.join("model.safetensors")).unwrap(),
        &["there is neither `model/model.safetensors` nor `model/model.safetensors.index.json`"],
    );
    let cut = |folder: &Path| {
        let path = folder.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let folder = copy("qwen3");
    cut(&folder.path().join("model"));
    let ran = ran(
        folder.path(),
        &["sample", "--checkpoint", "model", "--device", "cpu"],
    )
    .ended(2);
    assert!(
        ran.err
            .contains("`model/model.safetensors`: header promises"),
        "{}",
        ran.err
    );

    refused(
        "qwen3",
        set("tie_word_embeddings", json!(true)),
        &[
            "`model/config.json`, line 32: `tie_word_embeddings` is `true`; expected `false`",
            "`lm_head.weight` is another matrix",
        ],
    );
    refused(
        "llama",
        set("tie_word_embeddings", json!(false)),
        &[
            "`tie_word_embeddings` is `false`; expected `true`",
            "no tensor `lm_head.weight`",
        ],
    );
    refused(
        "llada",
        set("weight_tying", json!(true)),
        &["`weight_tying` is `true`"],
    );
    refused(
        "qwen3",
        set("vocab_size", json!(300)),
        &["`model/model.safetensors`", "[288, 16]", "[300, 16]"],
    );
    refused(
        "qwen3",
        set("head_dim", json!(8)),
        &["self_attn", "config.json` asks for"],
    );
    refused(
        "qwen3",
        set("num_hidden_layers", json!(3)),
        &["`model.layers.2."],
    );
    refused(
        "qwen3",
        set("num_hidden_layers", json!(1)),
        &["a tensor `model.layers.1."],
    );
    refused(
        "llama",
        set("architectures", json!(["Qwen3ForCausalLM"])),
        &["q_norm"],
    );
    refused(
        "qwen3",
        with_tensors(|tensors| tensors.retain(|(name, ..)| name != "model.norm.weight")),
        &["there is no tensor `model.norm.weight` in `model/model.safetensors`"],
    );
    refused(
        "llama",
        with_tensors(|tensors| {
            let bias = "model.layers.0.self_attn.q_proj.bias".to_owned();
            tensors.push((bias, safetensors::Dtype::F32, vec![1], vec![0; 4]));
        }),
        &["a tensor `model.layers.0.self_attn.q_proj.bias`"],
    );
    refused(
        "qwen3",
        with_tensors(|tensors| {
            let norm = tensors
                .iter_mut()
                .find(|(name, ..)| name == "model.norm.weight")
                .unwrap();
            *norm = (
                norm.0.clone(),
                safetensors::Dtype::F8_E4M3,
                norm.2.clone(),
                vec![0; 16],
            );
        }),
        &[
            "`model/model.safetensors`: `model.norm.weight` has the type F8_E4M3, and F32, BF16 or F16 is expected",
        ],
    );
}

#[test]
fn tokenizers_that_don_t_fit_are_refused() {
    refused(
        "qwen3",
        |folder| fs::remove_file(folder.join("tokenizer.json")).unwrap(),
        &["`model/tokenizer.json`", "a model needs its tokenizer"],
    );
    let with = |change: fn(&mut Value)| {
        move |folder: &Path| {
            let path = folder.join("tokenizer.json");
            let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            change(&mut file);
            fs::write(path, file.to_string()).unwrap();
        }
    };
    refused(
        "llama",
        with(|file| {
            let one_more = json!({"id": 278, "content": "<|more|>", "single_word": false, "lstrip": false, "rstrip": false,
                                  "normalized": false, "special": true});
            file["added_tokens"].as_array_mut().unwrap().push(one_more);
        }),
        &["`model/tokenizer.json`: it has 279 ids, and the model's embedding has 278 rows"],
    );
    refused(
        "llama",
        with(|file| file["model"]["type"] = "Unigram".into()),
        &[
            "`model/tokenizer.json`: this tokenizer can't be used",
            "`Unigram`",
        ],
    );
}

#[test]
fn bad_usage_of_import_is_refused() {
    let folder = copy("qwen3");
    let path = folder.path();
    for (flags, told) in [
        (
            &["model", "--out", "x.safetensors", "--length", "65"][..],
            "1 to 64",
        ),
        (
            &["model", "--out", "x.safetensors", "--length", "0"],
            "1 to 64",
        ),
        (
            &["model", "--out", "x.safetensors", "--dtype", "f8"],
            "`f32` or `bf16`",
        ),
        (&["model", "--out", "model"], "`model` is a folder"),
        (
            &["model", "--out", "none/x.safetensors"],
            "no folder `none`",
        ),
        (&["none", "--out", "x.safetensors"], "config.json"),
    ] {
        let ran = ran(path, &[&["import"], flags].concat()).ended(2);
        assert!(ran.err.contains(told), "{}", ran.err);
    }
    assert!(!path.join("x.safetensors").exists());
    // A file of weights alone is no checkpoint, and says where to go.
    let alone = [
        "sample",
        "--checkpoint",
        "model/model.safetensors",
        "--device",
        "cpu",
    ];
    let ran = ran(path, &alone).ended(2);
    assert!(ran.err.contains("`config.json`"), "{}", ran.err);
}
