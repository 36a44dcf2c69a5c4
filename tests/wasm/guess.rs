//! Texts by every sampler, from a model without weights: the same numbers wherever this is compiled.

use crossover::error::Result;
use crossover::model::{Predictor, Visibility};
use crossover::random::{Purpose, Stream};
use crossover::sample::{
    Cell, Choice, Decoding, Denoising, Precision, Sampler, Trace, decode, denoise,
};

const TOKENS: usize = 7;

/// Says something else about each position of each text.
struct Guess;

impl Predictor for Guess {
    fn vocab_size(&self) -> usize {
        TOKENS + 1
    }

    async fn nats(&self, _: &[u32], _: &[u32], _: usize, _: Visibility) -> Result<Vec<f64>> {
        unreachable!("nothing is measured here")
    }

    async fn log_probabilities(
        &self,
        inputs: &[u32],
        length: usize,
        _: Visibility,
    ) -> Result<Vec<f32>> {
        let rows = inputs.chunks_exact(length);
        Ok(rows
            .flat_map(|text| {
                let key = text
                    .iter()
                    .fold(1_u64, |key, &token| key * 11 % 1_000_003 + u64::from(token));
                (0..length).flat_map(move |position| {
                    let mut stream = Stream::new(key, Purpose::Source, position as u64, 0);
                    (0..TOKENS).map(move |_| -4.0 * stream.uniform() as f32)
                })
            })
            .collect())
    }
}

/// The traces of a few texts by each sampler, and left to right, as JSON lines.
pub async fn texts() -> Result<String> {
    let mut template = vec![Cell::Free; 12];
    template[3] = Cell::Given(2);
    let choice = Choice {
        temperature: 0.9,
        top_p: Some(0.95),
        ..Choice::default()
    };
    let mut lines = String::new();
    for sampler in Sampler::ALL {
        let denoising = Denoising {
            sampler,
            choice,
            guidance: 0.5,
            top: 2,
            ..Denoising::new(template.clone(), Visibility::Full, 7)
        };
        for (sample, index) in denoise(&Guess, &denoising, 0..3)
            .await?
            .into_iter()
            .zip(0..)
        {
            let header = denoising.header(index, None);
            lines += &Trace::new(header, sample, String::new(), 0.0).to_json_lines()?;
        }
    }
    for precision in [Precision::Exact, Precision::Fp32Gumbel] {
        let decoding = Decoding {
            choice: Choice {
                precision,
                ..choice
            },
            ..Decoding::new(vec![1], 12, 7)
        };
        for (sample, index) in decode(&Guess, &decoding, 0..3).await?.into_iter().zip(0..) {
            let header = decoding.header(index, None);
            lines += &Trace::new(header, sample, String::new(), 0.0).to_json_lines()?;
        }
    }
    Ok(lines)
}
