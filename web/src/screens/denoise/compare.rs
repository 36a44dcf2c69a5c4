//! Another text beside the one that plays: written left to right, in another order, or with a cache.

use crossover::lab::Writing;
use crossover::sample::Caching;
use egui::{ComboBox, RichText, Ui, vec2};

use super::settings::{Settings, sampler_menu, sampler_title};
use crate::numbers;
use crate::theatre::{Alignment, Cost, Film, Source, Take, differing, models};
use crate::theme::Palette;
use crate::widgets::button::segments;
use crate::widgets::sparks::sparks;

/// With what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Nothing.
    Off,
    /// The autoregressive model that was trained beside it.
    #[default]
    Ar,
    /// The same model with another sampler.
    Other,
    /// The same model with a cache that it does not write with of its own.
    Cached,
}

impl Kind {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Off, "Off"),
        (Self::Ar, "AR"),
        (Self::Other, "Other sampler"),
        (Self::Cached, "Cached"),
    ];
}

/// Approximate caches of models that see the whole window.
const CACHES: [(&str, Caching); 3] = [
    ("Prefix", Caching::Prefix { refresh: None }),
    ("Dual", Caching::Dual { refresh: None }),
    (
        "dKV",
        Caching::Dkv {
            refresh: Some(Caching::DKV_REFRESH),
        },
    ),
];

/// What models that were trained on blocks keep: it changes nothing, and here that is measured.
const BLOCK_CACHE: (&str, Caching) = ("Block, exact", Caching::Exact);

/// The companion of the text that plays.
#[derive(Debug)]
pub struct Compare {
    /// What is asked for.
    pub kind: Kind,
    alignment: Alignment,
    sampler: &'static str,
    cache: usize,
    /// What was written, and beside which text.
    written: Option<(u64, Wish, Film)>,
    /// What was asked for last, and could not be had.
    refused: Option<(u64, Wish, String)>,
}

impl Default for Compare {
    fn default() -> Self {
        Self {
            kind: Kind::default(),
            alignment: Alignment::default(),
            sampler: "low-confidence",
            cache: 0,
            written: None,
            refused: None,
        }
    }
}

/// What the companion should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    kind: Kind,
    sampler: &'static str,
    cache: usize,
}

impl Compare {
    /// What is wished for now; none where nothing is.
    pub fn wish(&self) -> Option<Wish> {
        (self.kind != Kind::Off).then(|| Wish {
            kind: self.kind,
            // What doesn't matter to a kind doesn't make a new wish of it.
            sampler: if self.kind == Kind::Other {
                self.sampler
            } else {
                ""
            },
            cache: if self.kind == Kind::Cached {
                self.cache
            } else {
                0
            },
        })
    }

    /// Whether the wish beside this text was granted, or refused.
    pub fn is_settled(&self, beside: u64, wish: &Wish) -> bool {
        let written = self
            .written
            .as_ref()
            .map(|(beside, wish, _)| (beside, wish));
        let refused = self
            .refused
            .as_ref()
            .map(|(beside, wish, _)| (beside, wish));
        [written, refused].contains(&Some((&beside, wish)))
    }

    /// The model and the way that grant a wish.
    ///
    /// # Errors
    /// What to say where nothing can.
    pub fn way(
        &self,
        wish: &Wish,
        model: &str,
        settings: &Settings,
        runs: &[crossover::lab::RunSummary],
    ) -> Result<(String, Writing), String> {
        match wish.kind {
            Kind::Off => Err(String::new()),
            Kind::Ar if settings.has_gaps() => {
                Err("AR can't fill gaps: it writes left to right.".to_owned())
            }
            Kind::Ar => models::twin(model, runs)
                .map(|twin| (twin, settings.left_to_right()))
                .ok_or_else(|| "This run has no AR model to compare with.".to_owned()),
            Kind::Other => Ok((model.to_owned(), settings.with_sampler(self.sampler))),
            Kind::Cached => {
                let (_, cache) = match models::is_of_blocks(model) {
                    true => BLOCK_CACHE,
                    false => CACHES[self.cache],
                };
                Ok((model.to_owned(), settings.cached(cache)))
            }
        }
    }

    /// Takes what was written.
    pub fn granted(&mut self, beside: u64, wish: Wish, film: Film) {
        self.written = Some((beside, wish, film));
    }

    /// Takes note of what could not be had.
    pub fn refused(&mut self, beside: u64, wish: Wish, message: String) {
        self.refused = Some((beside, wish, message));
    }

    /// What to compare with.
    pub fn menu(&mut self, ui: &mut Ui) {
        let chosen = Kind::ALL.iter().find(|(kind, _)| *kind == self.kind);
        ui.label("Compare");
        ui.name_inputs("Compare", |ui| {
            ComboBox::from_id_salt("compare")
                .selected_text(chosen.map_or("", |(_, name)| name))
                .show_ui(ui, |ui| {
                    for (kind, name) in Kind::ALL {
                        ui.selectable_value(&mut self.kind, kind, name);
                    }
                });
        });
    }

    fn cache_menu(&mut self, ui: &mut Ui, is_of_blocks: bool, palette: &Palette) {
        ui.horizontal(|ui| {
            ui.label("Cache");
            if is_of_blocks {
                ui.label(BLOCK_CACHE.0);
            } else {
                ui.name_inputs("Cache", |ui| {
                    ComboBox::from_id_salt("cache")
                        .selected_text(CACHES[self.cache].0)
                        .show_ui(ui, |ui| {
                            for (index, (name, _)) in CACHES.iter().enumerate() {
                                ui.selectable_value(&mut self.cache, index, *name);
                            }
                        });
                });
            }
            ui.label(RichText::new("Measuring it doubles the work.").color(palette.muted));
        });
    }

    /// Shows the companion at the same place.
    pub fn ui(&mut self, ui: &mut Ui, beside: u64, take: &Take, state: usize, palette: &Palette) {
        let (film, is_live) = (&take.film, take.source == Source::Live);
        let is_of_blocks = take.model.as_deref().is_some_and(models::is_of_blocks);
        let Some(wish) = self.wish() else { return };
        ui.separator();
        match self.kind {
            Kind::Other => {
                ui.horizontal(|ui| sampler_menu(ui, "Other sampler", &mut self.sampler));
            }
            Kind::Cached => self.cache_menu(ui, is_of_blocks, palette),
            Kind::Off | Kind::Ar => {}
        }
        let written = self.written.as_ref();
        let other = written.filter(|(of, granted, _)| (*of, granted) == (beside, &wish));
        if let Some((.., other)) = other {
            ui.horizontal(|ui| {
                ui.label(RichText::new("Aligned by").color(palette.muted));
                let choices = [
                    (Alignment::ModelCalls, "model calls"),
                    (Alignment::Seconds, "seconds"),
                    (Alignment::Share, "share of each"),
                ];
                segments(ui, palette, &mut self.alignment, &choices);
            });
            let at = self.alignment.state(film, state, other);
            text(ui, &wish, other, at, palette);
            costs(ui, film, other, &wish, palette);
            if self.kind == Kind::Cached {
                divergences(ui, film, other, at, palette);
            }
            return;
        }
        let refused = self.refused.as_ref();
        let note = match refused.filter(|(of, refused, _)| (*of, refused) == (beside, &wish)) {
            Some((.., message)) => message.as_str(),
            None if is_live => "Writing the other text …",
            None => "Press Denoise to write both.",
        };
        ui.label(RichText::new(note).color(palette.muted));
    }
}

fn text(ui: &mut Ui, wish: &Wish, other: &Film, at: usize, palette: &Palette) {
    let (name, color) = match wish.kind {
        Kind::Ar => ("AR", palette.ar),
        Kind::Other => (sampler_title(wish.sampler), palette.masked),
        _ => ("Cached", palette.masked),
    };
    let shown: String = match wish.kind {
        Kind::Ar => {
            let tokens = other.tokens(at).iter().take_while(|&&token| token >= 0);
            let mut text: String = tokens
                .map(|&token| other.token(token).into_owned())
                .collect();
            if at < other.last() {
                text.push('▌');
            }
            text
        }
        _ => other.text(at),
    };
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(name).strong().color(color));
        ui.label(RichText::new(shown.replace('\n', "↵ ")).monospace());
    });
}

fn costs(ui: &mut Ui, film: &Film, other: &Film, wish: &Wish, palette: &Palette) {
    let cost = |film: &Film| {
        let Cost {
            calls,
            seconds,
            flops,
        } = Cost::of(film);
        format!(
            "{calls:.0} model calls, {}, {} FLOPs",
            numbers::duration(seconds),
            numbers::flops(flops)
        )
    };
    let name = match wish.kind {
        Kind::Ar => "AR",
        Kind::Other => sampler_title(wish.sampler),
        _ => "Cached",
    };
    let line = format!("Above: {} · {name}: {}", cost(film), cost(other));
    ui.label(RichText::new(line).small().color(palette.muted));
}

fn divergences(ui: &mut Ui, film: &Film, other: &Film, at: usize, palette: &Palette) {
    let steps = other.trace().steps.iter();
    let nats: Vec<f64> = steps.map(|step| step.divergence.unwrap_or(0.0)).collect();
    let most = nats.iter().copied().fold(0.0, f64::max);
    let shares: Vec<f32> = nats
        .iter()
        .map(|nats| (nats / most.max(1e-12)) as f32)
        .collect();
    ui.horizontal_wrapped(|ui| {
        ui.label(
            RichText::new("KL(exact ‖ cached) by step")
                .small()
                .color(palette.muted),
        );
        let name = format!("Divergence of the cache by step, at most {most:.2e} nats");
        let size = vec2(ui.available_width().min(260.0), 24.0);
        sparks(ui, &shares, at.checked_sub(1), size, &name, palette);
        let now = at.checked_sub(1).and_then(|at| nats.get(at)).copied();
        let line = format!(
            "now {:.2e} · maximum {most:.2e} nats · {} of {} tokens differ",
            now.unwrap_or(0.0),
            differing(film, other),
            film.length()
        );
        ui.label(RichText::new(line).small());
    });
}
