//! The denoising trace: everything that happened while a text was written, as JSON lines. Format version 1.
//!
//! Writing is here; `read` is the way back, and checks what the types can't say. `docs/formats.md` describes the format,
//! `docs/trace.schema.json` states it for programs.

mod branch;
mod read;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::objective::Objective;
use crate::sample::{Caching, Choice, Parameters, Sample, Schedule};

/// One sample's trace: a line for the [`Header`], one for each [`Step`], one for the [`Footer`].
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// What was asked for.
    pub header: Header,
    /// What happened, in order.
    pub steps: Vec<Step>,
    /// What came of it, and what it cost.
    pub footer: Footer,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the format: 1.
    pub version: u32,
    /// How the model that wrote it was trained.
    pub kind: Objective,
    /// Number of positions, L.
    pub length: usize,
    /// Token strings, id by id, where they are known.
    pub vocab: Option<Vec<String>>,
    /// The given tokens, -1 where free: `[length]`.
    pub prompt: Vec<i64>,
    /// The trace this one continues.
    pub parent: Option<Parent>,
    /// How it was written.
    pub sampler: Settings,
    /// The seed of its random numbers.
    pub seed: u64,
}

impl Header {
    /// The version this library writes.
    pub const VERSION: u32 = 1;
}

/// Where a trace branches off another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    /// The other trace's file.
    pub trace: String,
    /// The step whose state was taken over.
    pub step: usize,
    /// What was changed in that state before going on.
    pub edits: Vec<Edit>,
}

/// One cell changed by hand.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// Which cell.
    pub position: usize,
    /// Its new token, -1 for MASK.
    pub token: i64,
}

/// How a trace was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The sampler: `autoregressive`, or the name of an order.
    pub name: String,
    /// Number of steps asked for.
    pub steps: usize,
    /// Which of the seed's samples this is, from 0.
    pub sample: u64,
    /// How tokens were chosen.
    #[serde(flatten)]
    pub choice: Choice,
    /// What the order was given.
    #[serde(flatten)]
    pub parameters: Parameters,
    /// How much was masked as the steps went by.
    #[serde(default, skip_serializing_if = "is_default")]
    pub schedule: Schedule,
    /// Tokens in a block, where there was more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_size: Option<usize>,
    /// Weight of classifier-free guidance.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cfg: f64,
    /// What was kept between two readings of the page.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cache: Caching,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One step, and the state after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Number of the step, from 1.
    pub step: usize,
    /// Time left: the share of the free positions that the schedule leaves masked, 1 before the first step, 0 after the
    /// last.
    pub t: f64,
    /// Tokens after the step, MASK as -1: `[length]`.
    pub tokens: Vec<i64>,
    /// Positions it wrote, ascending.
    pub committed: Vec<usize>,
    /// Positions it hid again, ascending.
    pub remasked: Vec<usize>,
    /// Probability each token had when it was written; 1 in the prompt, 0 where masked: `[length]`.
    pub confidence: Vec<f32>,
    /// Entropy of the model's distribution in nats, when the token was written or, where masked, as predicted last;
    /// 0 in the prompt and where nothing was predicted yet: `[length]`.
    pub entropy: Vec<f32>,
    /// The likeliest (id, probability) pairs of each position as predicted last, where they were kept: `[length][k]`. One
    /// pair where the token was given, none where nothing was predicted yet.
    pub top: Option<Vec<Vec<(u32, f32)>>>,
    /// How far the predictions of an approximate cache were from those without, where that was measured: the mean over the
    /// block's masked positions of KL(exact ‖ cached), nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<f64>,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Footer {
    /// The text.
    pub text: String,
    /// Steps taken.
    pub steps: usize,
    /// Forward passes that read this sample.
    pub model_calls: usize,
    /// Their floating-point operations.
    pub flops: f64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl Trace {
    /// The trace of a finished sample, whose tokens spell `text` and took `seconds` of wall clock.
    pub fn new(header: Header, sample: Sample, text: String, seconds: f64) -> Self {
        let footer = Footer {
            text,
            steps: sample.steps.len(),
            model_calls: sample.model_calls,
            flops: sample.flops,
            seconds,
        };
        Self {
            header,
            steps: sample.steps,
            footer,
        }
    }

    /// The trace as JSON lines, each ended by a newline.
    ///
    /// # Errors
    /// When a line can't be written as JSON.
    pub fn to_json_lines(&self) -> Result<String> {
        let mut lines = String::new();
        push_line(&mut lines, &self.header)?;
        for step in &self.steps {
            push_line(&mut lines, step)?;
        }
        push_line(&mut lines, &self.footer)?;
        Ok(lines)
    }
}

fn push_line(lines: &mut String, value: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(value)
        .map_err(|error| Error::work("can't write the trace as JSON").with_source(error))?;
    lines.push_str(&line);
    lines.push('\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_written_as_its_contract_says() {
        let sample = Sample {
            tokens: vec![2, 0],
            end: 2,
            steps: vec![Step {
                step: 1,
                t: 0.0,
                tokens: vec![2, 0],
                committed: vec![1],
                remasked: vec![],
                confidence: vec![1.0, 0.25],
                entropy: vec![0.0, 0.5],
                top: None,
                divergence: None,
            }],
            model_calls: 1,
            flops: 12.0,
        };
        let header = Header {
            version: Header::VERSION,
            kind: Objective::Masked,
            length: 2,
            vocab: None,
            prompt: vec![2, -1],
            parent: None,
            sampler: Settings {
                name: "ancestral".to_owned(),
                steps: 1,
                sample: 0,
                choice: Choice::default(),
                parameters: Parameters::default(),
                schedule: Schedule::Linear,
                block_size: None,
                cfg: 0.0,
                cache: Caching::None,
            },
            seed: 7,
        };
        let trace = Trace::new(header.clone(), sample, "ca".to_owned(), 0.5);
        let lines = trace.to_json_lines().unwrap();
        let expected = concat!(
            r#"{"version":1,"kind":"masked","length":2,"vocab":null,"prompt":[2,-1],"parent":null,"#,
            r#""sampler":{"name":"ancestral","steps":1,"sample":0,"temperature":1.0,"top_k":null,"top_p":null},"#,
            r#""seed":7}"#,
            "\n",
            r#"{"step":1,"t":0.0,"tokens":[2,0],"committed":[1],"remasked":[],"confidence":[1.0,0.25],"#,
            r#""entropy":[0.0,0.5],"top":null}"#,
            "\n",
            r#"{"text":"ca","steps":1,"model_calls":1,"flops":12.0,"seconds":0.5}"#,
            "\n",
        );
        assert_eq!(lines, expected);
        let first = lines.lines().next().unwrap();
        assert_eq!(serde_json::from_str::<Header>(first).unwrap(), header);
    }
}
