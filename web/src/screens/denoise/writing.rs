//! What the theatre asks of the lab, and what it does with the answers.

use crossover::lab::{Answer, Request, Template, Writing};
use crossover::sample::{Edit, Trace};

use super::Denoise;
use super::compare::Wish;
use crate::screens::Context;
use crate::theatre::{Film, MASK, Source, Takes, models};

/// Questions that are not answered yet.
#[derive(Debug, Default)]
pub struct Waiting {
    texts: Vec<(u64, Asked)>,
    runs: Option<u64>,
    knows_runs: bool,
}

/// What for.
#[derive(Debug)]
enum Asked {
    /// A new text.
    Main { model: String },
    /// The first one, which nobody asked for: it takes the recording's place while that is untouched.
    First { model: String },
    /// A branch off a state of a take.
    Branch {
        parent: usize,
        state: usize,
        edits: Vec<Edit>,
    },
    /// A text beside the one that plays.
    Companion { beside: u64, wish: Wish },
}

impl Waiting {
    /// Whether a text is being written that will be shown.
    pub fn is_writing(&self) -> bool {
        let mut texts = self.texts.iter();
        texts.any(|(_, asked)| matches!(asked, Asked::Main { .. } | Asked::Branch { .. }))
    }

    /// The list of runs is out of date.
    pub fn forget_runs(&mut self) {
        self.knows_runs = false;
    }
}

impl Denoise {
    /// Asks for the list of runs, where it is not known.
    pub(super) fn ask_for_runs(&mut self, context: &mut Context<'_>) {
        if !self.waiting.knows_runs && self.waiting.runs.is_none() {
            self.waiting.runs = Some(context.desk.ask(Request::Runs));
        }
    }

    fn ask(
        &mut self,
        context: &mut Context<'_>,
        model: String,
        template: Template,
        writing: Writing,
        asked: Asked,
    ) {
        let request = context.desk.ask(Request::Write {
            model,
            template,
            writing: Box::new(writing),
        });
        self.waiting.texts.push((request, asked));
    }

    /// Lets the bundled model write as soon as there is a lab, so that what plays is live without a click.
    pub(super) fn open_live(&mut self, context: &mut Context<'_>) {
        if self.opened || context.state.device.is_none() {
            return;
        }
        self.opened = true;
        // Whoever is at work already has better to do.
        if context.state.is_busy() || !self.waiting.texts.is_empty() || !self.is_untouched() {
            return;
        }
        let model = models::BUNDLED.to_owned();
        let asked = Asked::First {
            model: model.clone(),
        };
        let (template, writing) = (self.settings.template(), self.settings.writing());
        self.ask(context, model, template, writing, asked);
    }

    /// Whether the recording is all that is there.
    fn is_untouched(&self) -> bool {
        let takes = self.takes.list();
        takes.len() == 1 && takes[0].source == Source::Recorded && self.edits.is_empty()
    }

    /// Writes a new text: from the prompt, or where something is pinned around that.
    pub(super) fn denoise(&mut self, context: &mut Context<'_>) {
        self.message = None;
        let template = match (self.edits.is_empty(), self.film()) {
            (false, Some(film)) => Template::Tokens {
                tokens: self.edits.applied(&film.trace().header.prompt),
            },
            _ => self.settings.template(),
        };
        let model = self.model_path();
        let mut writing = match models::is_diffusion(&model) {
            true => self.settings.writing(),
            false => Writing {
                top: self.settings.alternatives,
                ..self.settings.left_to_right()
            },
        };
        writing.steps = writing.steps.map(|steps| steps.min(self.longest()));
        let asked = Asked::Main {
            model: model.clone(),
        };
        self.ask(context, model, template, writing, asked);
    }

    /// Writes on from the state that is shown, with the changes that were made to it.
    pub(super) fn branch(&mut self, context: &mut Context<'_>) {
        self.message = None;
        if !self.takes.has_room() {
            let most = Takes::MOST;
            self.message = Some(format!("{most} texts are open: close one first."));
            return;
        }
        let (parent, state) = (self.shown, self.player.state());
        let Some(take) = self.takes.get(parent) else {
            return;
        };
        let header = &take.film.trace().header;
        let is_same = self.edits.is_empty()
            && header.seed == u64::from(self.settings.seed)
            && header.sampler.name == self.settings.sampler;
        if is_same {
            // The same numbers write the same text.
            if let Some(index) = self.takes.copy(parent, state) {
                self.show_take(index, state, false);
            }
            return;
        }
        let masked = take.film.tokens(state).iter();
        let masked = masked.filter(|&&token| token == MASK).count();
        let left = take.film.last() - state;
        let model = take.model.clone().unwrap_or_else(|| self.model_path());
        let edits = self.edits.list();
        match self.takes.template(parent, state, &self.edits) {
            Ok(template) => {
                let mut writing = self.settings.writing();
                let steps = if left > 0 { left } else { masked + edits.len() };
                writing.steps = writing.steps.map(|_| steps.max(1));
                let asked = Asked::Branch {
                    parent,
                    state,
                    edits,
                };
                self.ask(context, model, template, writing, asked);
            }
            Err(error) => self.message = Some(error.to_string()),
        }
    }

    /// Masks a share of the finished text, and lets the model write that again.
    pub(super) fn denoise_corrupted(&mut self, context: &mut Context<'_>) {
        self.message = None;
        let Some(take) = self.takes.get(self.shown) else {
            return;
        };
        let film = &take.film;
        let (order, share) = (&self.corruption.order, self.corruption.share);
        let tokens = order.corrupted(film.tokens(film.last()), share);
        let masked = tokens.iter().filter(|&&token| token == MASK).count();
        if masked == 0 {
            self.message = Some("Nothing is masked: raise t.".to_owned());
            return;
        }
        let model = take.model.clone().unwrap_or_else(|| self.model_path());
        let mut writing = self.settings.writing();
        writing.steps = writing.steps.map(|steps| steps.min(masked));
        let asked = Asked::Main {
            model: model.clone(),
        };
        self.ask(context, model, Template::Tokens { tokens }, writing, asked);
    }

    /// Asks for the text that is compared with, once there is one to compare.
    pub(super) fn ask_for_companion(&mut self, context: &mut Context<'_>) {
        let Some(wish) = self.compare.wish() else {
            return;
        };
        let beside = self.generation;
        let is_asked = self.waiting.texts.iter().any(|(_, asked)| match asked {
            Asked::Companion {
                beside: of,
                wish: asked,
            } => (*of, asked) == (beside, &wish),
            // One after the other: what is shown comes first.
            _ => true,
        });
        let live = self
            .takes
            .get(self.shown)
            .filter(|take| take.source == Source::Live && take.parent.is_none());
        let Some(take) = live else { return };
        if is_asked || self.compare.is_settled(beside, &wish) {
            return;
        }
        let prompt = &take.film.trace().header.prompt;
        let model = take.model.clone().unwrap_or_else(|| self.model_path());
        let template = Template::Tokens {
            tokens: prompt.clone(),
        };
        match self.compare.way(&wish, &model, &self.settings, &self.runs) {
            Ok((model, mut writing)) => {
                let steps = take.film.trace().header.sampler.steps;
                writing.steps = writing.steps.map(|_| steps);
                writing.seed = take.film.trace().header.seed;
                let asked = Asked::Companion { beside, wish };
                self.ask(context, model, template, writing, asked);
            }
            Err(problem) => self.compare.refused(beside, wish, problem),
        }
    }

    pub(super) fn answered(&mut self, request: u64, answer: &Answer) {
        if self.waiting.runs == Some(request) {
            self.waiting.runs = None;
            if let Answer::Runs { runs } = answer {
                self.runs = runs.clone();
                self.waiting.knows_runs = true;
            }
            return;
        }
        let Some(asked) = self.taken(request) else {
            return;
        };
        let Answer::Written { trace } = answer else {
            return;
        };
        let trace = match Trace::from_json_lines(trace, "the new text") {
            Ok(trace) => trace,
            Err(error) => {
                self.message = Some(error.to_string());
                return;
            }
        };
        match asked {
            Asked::Main { model } => {
                let index = self.takes.replace_all(trace, Source::Live, Some(model));
                self.show_take(index, 0, true);
            }
            Asked::First { model } => {
                if self.is_untouched() && !self.waiting.is_writing() {
                    self.takes.replace_all(trace, Source::Live, Some(model));
                    self.show_take(0, usize::MAX, false);
                    self.start = Some(None);
                }
            }
            Asked::Branch {
                parent,
                state,
                edits,
            } => {
                let added = self.takes.branch(parent, state, edits, trace, Source::Live);
                if let Some(index) = added {
                    self.show_take(index, state, true);
                }
            }
            Asked::Companion { beside, wish } => {
                self.compare.granted(beside, wish, Film::new(trace));
            }
        }
    }

    pub(super) fn refused(&mut self, request: u64, message: &str, hint: Option<&str>) {
        if self.waiting.runs == Some(request) {
            // Without a list there are the bundled models.
            self.waiting.runs = None;
            self.waiting.knows_runs = true;
            return;
        }
        let told = match hint {
            Some(hint) => format!("{message}: {hint}"),
            None => message.to_owned(),
        };
        match self.taken(request) {
            Some(Asked::Companion { beside, wish }) => self.compare.refused(beside, wish, told),
            // The recording goes on playing.
            Some(Asked::First { .. }) => {}
            Some(_) => self.message = Some(told),
            None => {}
        }
    }

    fn taken(&mut self, request: u64) -> Option<Asked> {
        let texts = &mut self.waiting.texts;
        let at = texts.iter().position(|(asked, _)| *asked == request)?;
        Some(texts.remove(at).1)
    }
}
