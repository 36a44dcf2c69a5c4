//! The texts that stand side by side as tabs: what was written first, and the branches off it.

use crossover::error::Result;
use crossover::lab::Template;
use crossover::sample::{Edit, Trace};

use super::edits::Edits;
use super::film::Film;

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It came with the app.
    Recorded,
    /// The lab wrote it in this visit.
    Live,
    /// From a file.
    File,
}

impl Source {
    /// Its name on the badge.
    pub fn badge(self) -> &'static str {
        match self {
            Self::Recorded => "Recorded",
            Self::Live => "Live",
            Self::File => "File",
        }
    }
}

/// One text.
#[derive(Debug, Clone, PartialEq)]
pub struct Take {
    /// Its name on the tab.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// What is shown: of a branch with what came before it.
    pub film: Film,
    /// The trace as it was written: of a branch from its first own step.
    pub own: Trace,
    /// The model that wrote it, where it is known.
    pub model: Option<String>,
    /// Its parent among the takes, and the state of the parent that it starts from.
    pub parent: Option<(usize, usize)>,
    /// What was changed in that state.
    pub edits: Vec<Edit>,
}

/// All texts, the first one first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Takes {
    list: Vec<Take>,
}

impl Takes {
    /// As many as there can be.
    pub const MOST: usize = 8;

    /// Each.
    pub fn list(&self) -> &[Take] {
        &self.list
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Option<&Take> {
        self.list.get(index)
    }

    /// One of them, to change it.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Take> {
        self.list.get_mut(index)
    }

    /// Whether another one finds room.
    pub fn has_room(&self) -> bool {
        self.list.len() < Self::MOST
    }

    /// Puts a text in the place of all that came of the first one, branches and all. Gives its index.
    pub fn replace_all(&mut self, trace: Trace, source: Source, model: Option<String>) -> usize {
        self.list = vec![Take {
            name: "Main".to_owned(),
            source,
            film: Film::new(trace.clone()),
            own: trace,
            model,
            parent: None,
            edits: Vec::new(),
        }];
        0
    }

    /// Adds a branch, which `child` continues. Gives its index, none where there is no room or no parent.
    pub fn branch(
        &mut self,
        parent: usize,
        state: usize,
        edits: Vec<Edit>,
        child: Trace,
        source: Source,
    ) -> Option<usize> {
        if !self.has_room() {
            return None;
        }
        let of = self.list.get(parent)?;
        let number = 1 + self
            .list
            .iter()
            .filter_map(|take| {
                take.name
                    .strip_prefix("Branch ")?
                    .split(' ')
                    .next()?
                    .parse()
                    .ok()
            })
            .max()
            .unwrap_or(0_usize);
        let take = Take {
            name: format!("Branch {number} @{state}"),
            source,
            film: Film::branch(&of.film, state, child.clone()),
            own: child,
            model: of.model.clone(),
            parent: Some((parent, state)),
            edits,
        };
        self.list.push(take);
        Some(self.list.len() - 1)
    }

    /// A branch that changes nothing: the same numbers write the same text, so it is the parent's once more.
    pub fn copy(&mut self, parent: usize, state: usize) -> Option<usize> {
        let of = self.list.get(parent)?;
        let (film, own, source) = (of.film.clone(), of.own.clone(), of.source);
        let index = self.branch(parent, state, Vec::new(), own, source)?;
        self.list[index].film = film;
        Some(index)
    }

    /// Takes a branch away, and those that came of it. The first text stays.
    pub fn close(&mut self, index: usize) {
        if index == 0 || index >= self.list.len() {
            return;
        }
        let mut gone = vec![false; self.list.len()];
        gone[index] = true;
        for at in index + 1..self.list.len() {
            gone[at] = self.list[at].parent.is_some_and(|(parent, _)| gone[parent]);
        }
        let kept_before = |at: usize| gone[..at].iter().filter(|gone| !**gone).count();
        for take in &mut self.list {
            take.parent = take
                .parent
                .map(|(parent, state)| (kept_before(parent), state));
        }
        let mut at = 0;
        self.list.retain(|_| {
            at += 1;
            !gone[at - 1]
        });
    }

    /// What a branch off a state of a take starts from: the trace that has that state, as the lab knows it.
    ///
    /// # Errors
    /// When the trace can't be written as JSON.
    pub fn template(&self, index: usize, state: usize, edits: &Edits) -> Result<Template> {
        let (mut at, mut edits) = (index, edits.clone());
        // A state that a branch has from its parent is the parent's to continue.
        while let Some((parent, from)) = self.list[at].parent {
            if state > from {
                let trace = self.list[at].own.to_json_lines()?;
                return Ok(Template::Branch {
                    trace,
                    name: self.file_name(at),
                    step: state - from,
                    edits: edits.list(),
                });
            }
            if state == from {
                edits = edits.over(&self.list[at].edits);
            }
            at = parent;
        }
        Ok(Template::Branch {
            trace: self.list[at].own.to_json_lines()?,
            name: self.file_name(at),
            step: state,
            edits: edits.list(),
        })
    }

    /// What a take's trace is called as a file.
    pub fn file_name(&self, index: usize) -> String {
        let name = self.list[index].name.to_lowercase();
        format!("{}.jsonl", name.replace(" @", "-at-").replace(' ', "-"))
    }

    /// Whether a position holds another token in a state than the parent does in its own; of a parent that ended earlier, at
    /// its end.
    pub fn differs(&self, index: usize, state: usize, position: usize) -> bool {
        let take = &self.list[index];
        let Some((parent, from)) = take.parent else {
            return false;
        };
        let of = &self.list[parent].film;
        state > from
            && take.film.tokens(state).get(position)
                != of.tokens(state.min(of.last())).get(position)
    }
}
