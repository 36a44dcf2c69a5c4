//! A trace prepared for showing.

use std::borrow::Cow;

use crossover::sample::{Step, Trace};

use super::square::{Broken, side};

/// A hidden position, among a trace's tokens.
pub const MASK: i64 = -1;
/// No token is known: before the first step of a branch whose parent is not at hand, where that step hides one.
const UNKNOWN: i64 = i64::MIN;

/// A trace, and what every view of it asks for. State 0 is what there was before the first step, state `s` what there is
/// after step `s`.
#[derive(Debug, Clone, PartialEq)]
pub struct Film {
    trace: Trace,
    side: Option<usize>,
    before: Vec<i64>,
    /// What was given, from which state on.
    given: Vec<(usize, Vec<i64>)>,
    /// For each position the states at which something else stood there, and what.
    histories: Vec<Vec<(usize, i64)>>,
    highest_entropy: f32,
}

/// How a position looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Look {
    /// A token of the prompt.
    Prompt,
    /// A token that a person set.
    Pinned,
    /// Nothing yet.
    Mask,
    /// Nothing yet, with the model's likeliest token.
    Draft,
    /// A token, since this step.
    Revealed,
    /// A token, since an earlier step.
    Committed,
    /// Nothing again.
    Remasked,
    /// A token where another one stood.
    Changed,
}

impl Look {
    /// All of them, with the seven of the specification first.
    pub const ALL: [Self; 8] = [
        Self::Prompt,
        Self::Mask,
        Self::Draft,
        Self::Revealed,
        Self::Committed,
        Self::Remasked,
        Self::Changed,
        Self::Pinned,
    ];

    /// Its name in the hook.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Pinned => "pinned",
            Self::Mask => "mask",
            Self::Draft => "draft",
            Self::Revealed => "revealed",
            Self::Committed => "committed",
            Self::Remasked => "remasked",
            Self::Changed => "changed",
        }
    }

    /// What it means, for legends and readers of screens.
    pub fn told(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Pinned => "pinned",
            Self::Mask => "masked",
            Self::Draft => "draft",
            Self::Revealed => "revealed now",
            Self::Committed => "committed",
            Self::Remasked => "masked again",
            Self::Changed => "changed",
        }
    }
}

/// What colours mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// How a position looks.
    #[default]
    State,
    /// The probability of a token when it was written.
    Confidence,
    /// The entropy of the model's distribution then, or where masked when it looked last.
    Entropy,
    /// When a token was written.
    CommitStep,
}

impl Colour {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::State,
        Self::Confidence,
        Self::Entropy,
        Self::CommitStep,
    ];

    /// Its name in menus.
    pub fn name(self) -> &'static str {
        match self {
            Self::State => "State",
            Self::Confidence => "Confidence",
            Self::Entropy => "Entropy",
            Self::CommitStep => "Commit step",
        }
    }

    /// The one after it.
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|&colour| colour == self);
        Self::ALL[at.map_or(0, |at| (at + 1) % Self::ALL.len())]
    }
}

/// What stands at a position in a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// How it looks.
    pub look: Look,
    /// The token, [`MASK`] where there is none.
    pub token: i64,
    /// The token that stood there before, where that is part of the look.
    pub old: Option<i64>,
    /// The likeliest token with its probability, where nothing stands.
    pub guess: Option<(u32, f32)>,
    /// The probability that the token had when it was written.
    pub confidence: Option<f32>,
    /// Entropy of the distribution it was drawn from, or where masked of the last one, nats.
    pub entropy: Option<f32>,
    /// The step that wrote the token.
    pub since: Option<usize>,
}

impl Film {
    /// Prepares a trace.
    pub fn new(trace: Trace) -> Self {
        let header = &trace.header;
        let before = match trace.steps.first().filter(|_| header.parent.is_some()) {
            None => header.prompt.clone(),
            Some(first) => {
                let mut tokens = first.tokens.clone();
                for &position in &first.committed {
                    tokens[position] = MASK;
                }
                for &position in &first.remasked {
                    tokens[position] = UNKNOWN;
                }
                tokens
            }
        };
        let given = vec![(0, header.prompt.clone())];
        Self::assembled(trace, before, given)
    }

    /// A branch with all that came before it: the steps of `parent` up to `state`, then those of `child`.
    pub fn branch(parent: &Self, state: usize, child: Trace) -> Self {
        let state = state.min(parent.last());
        let mut given = parent.given.clone();
        given.retain(|(from, _)| *from <= state);
        given.push((state + 1, child.header.prompt.clone()));
        let mut trace = child;
        let own = std::mem::take(&mut trace.steps);
        trace.steps = parent.trace.steps[..state].to_vec();
        trace.steps.extend(own);
        for (index, step) in trace.steps.iter_mut().enumerate() {
            step.step = index + 1;
        }
        Self::assembled(trace, parent.before.clone(), given)
    }

    fn assembled(trace: Trace, before: Vec<i64>, given: Vec<(usize, Vec<i64>)>) -> Self {
        let histories = (0..trace.header.length)
            .map(|position| {
                let mut history = vec![(0, before[position])];
                for (index, step) in trace.steps.iter().enumerate() {
                    let token = step.tokens[position];
                    if history.last().is_none_or(|(_, last)| *last != token) {
                        history.push((index + 1, token));
                    }
                }
                history
            })
            .collect();
        let highest_entropy = trace
            .steps
            .iter()
            .flat_map(|step| &step.entropy)
            .fold(0.0, |most: f32, entropy| most.max(*entropy));
        Self {
            side: side(&trace),
            before,
            given,
            histories,
            highest_entropy,
            trace,
        }
    }

    /// The trace: of a branch with the steps that came before it.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// How many positions there are.
    pub fn length(&self) -> usize {
        self.trace.header.length
    }

    /// The last state's number.
    pub fn last(&self) -> usize {
        self.trace.steps.len()
    }

    /// The side of the square that it fills, where it does.
    pub fn side(&self) -> Option<usize> {
        self.side
    }

    /// Shows it as a square, where it has so many cells.
    pub fn set_side(&mut self, side: Option<usize>) {
        self.side = self
            .side
            .or(side.filter(|side| side * side == self.length()));
    }

    /// The step that led to a state; none for the first.
    pub fn step(&self, state: usize) -> Option<&Step> {
        self.trace.steps.get(state.checked_sub(1)?)
    }

    /// The tokens of a state, [`MASK`] where nothing stands: `[length]`.
    pub fn tokens(&self, state: usize) -> &[i64] {
        self.step(state).map_or(&self.before, |step| &step.tokens)
    }

    /// Time left in a state.
    pub fn time(&self, state: usize) -> f64 {
        self.step(state).map_or(1.0, |step| step.t)
    }

    /// The entropy that is the end of the scale, nats.
    pub fn highest_entropy(&self) -> f32 {
        self.highest_entropy
    }

    /// Whether alternatives were kept.
    pub fn has_alternatives(&self) -> bool {
        self.trace.steps.iter().any(|step| step.top.is_some())
    }

    /// The likeliest tokens of a position as the model saw them last, the likeliest first.
    pub fn top(&self, state: usize, position: usize) -> &[(u32, f32)] {
        let top = self.step(state).and_then(|step| step.top.as_ref());
        top.and_then(|top| top.get(position))
            .map_or(&[], Vec::as_slice)
    }

    /// The rows and columns of a square that are broken in a state; none for a text.
    pub fn broken(&self, state: usize) -> Option<Broken> {
        Some(Broken::of(self.tokens(state), self.side?))
    }

    /// A token as the vocabulary has it; its number where the trace has none.
    pub fn token(&self, token: i64) -> Cow<'_, str> {
        let known = self.trace.header.vocab.as_ref().and_then(|vocab| {
            let id = usize::try_from(token).ok()?;
            vocab.get(id)
        });
        match known {
            Some(text) => Cow::Borrowed(text),
            None if token < 0 => Cow::Borrowed("?"),
            None => Cow::Owned(format!("#{token}")),
        }
    }

    /// The text of a state, with `░` where nothing stands.
    pub fn text(&self, state: usize) -> String {
        let last = state == self.last();
        if last && self.trace.header.vocab.is_some() {
            return self.trace.footer.text.clone();
        }
        let tokens = self.tokens(state).iter();
        tokens
            .map(|&token| match token {
                MASK => Cow::Borrowed("░"),
                known => self.token(known),
            })
            .collect()
    }

    fn given(&self, state: usize, position: usize) -> bool {
        let in_force = self.given.iter().rev().find(|(from, _)| *from <= state);
        in_force.is_some_and(|(_, tokens)| tokens[position] >= 0)
    }

    /// What stands at a position in a state; with `drafts` what the model would write there too.
    pub fn standing(&self, state: usize, position: usize, drafts: bool) -> Standing {
        let history = &self.histories[position];
        let at = history.partition_point(|(since, _)| *since <= state).max(1) - 1;
        let (since, token) = history[at];
        let earlier = history[..at].iter().rev().map(|(_, token)| *token);
        let old = earlier.clone().find(|&token| token >= 0);
        let step = self.step(state);
        let guess = self.top(state, position).first().copied();
        let is_given = self.given(state, position);
        let was_prompt = self.given[0].1[position] >= 0;
        let other = old.filter(|&old| old != token);
        let look = match token {
            _ if is_given && was_prompt && other.is_none() => Look::Prompt,
            _ if is_given && other.is_some() => Look::Changed,
            _ if is_given => Look::Pinned,
            MASK if old.is_some() => Look::Remasked,
            MASK if drafts && guess.is_some() => Look::Draft,
            MASK => Look::Mask,
            _ if since == state && state > 0 && other.is_some() => Look::Changed,
            _ if since == state && state > 0 => Look::Revealed,
            _ => Look::Committed,
        };
        let is_masked = token == MASK;
        let entropy = step.map(|step| step.entropy[position]);
        Standing {
            old: old.filter(|_| matches!(look, Look::Remasked | Look::Changed)),
            guess: guess.filter(|_| is_masked),
            confidence: step
                .filter(|_| !is_masked)
                .map(|step| step.confidence[position]),
            // Where nothing was predicted yet the entropy is 0, which no prediction of a masked position is.
            entropy: entropy.filter(|entropy| !(is_given || is_masked && *entropy == 0.0)),
            since: (!is_masked && !is_given && since > 0).then_some(since),
            look,
            token,
        }
    }

    /// A position's place on the scale that colours mean, from 0 to 1; none where nothing is known, or colours mean looks.
    pub fn share(&self, colour: Colour, standing: &Standing) -> Option<f32> {
        if matches!(standing.look, Look::Prompt | Look::Pinned) {
            return None;
        }
        match colour {
            Colour::State => None,
            Colour::Confidence => standing.confidence,
            Colour::Entropy => {
                let most = self.highest_entropy.max(f32::MIN_POSITIVE);
                standing.entropy.map(|entropy| entropy / most)
            }
            Colour::CommitStep => standing
                .since
                .map(|since| since as f32 / self.last().max(1) as f32),
        }
    }

    /// Who wrote it and how, in a line.
    pub fn title(&self) -> String {
        let header = &self.trace.header;
        let kind = match header.kind {
            crossover::objective::Objective::Autoregressive => "autoregressive",
            crossover::objective::Objective::Masked => "masked diffusion",
            crossover::objective::Objective::Block => "block diffusion",
            crossover::objective::Objective::Dual => "dual",
        };
        let guidance = match header.sampler.cfg {
            0.0 => String::new(),
            weight => format!(", guidance {weight}"),
        };
        format!(
            "{kind} · {}{guidance} · {} steps · seed {}",
            header.sampler.name,
            self.last(),
            header.seed
        )
    }
}
