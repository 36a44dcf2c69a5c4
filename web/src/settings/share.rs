//! Links that restore settings: the page's address and `#v=1&corpus=grids&…`. They hold settings and the seed, never text or
//! weights; an own text is named by its hash.

use crossover::objective::Objective;

use super::{Draft, Field, Preset, Source};

/// The newest kind of link.
const VERSION: u32 = 1;
/// The longest link.
pub const LONGEST: usize = 2_000;

/// A field's name in links.
fn key(field: Field) -> &'static str {
    match field {
        Field::Unique => "unique",
        Field::Epochs => "epochs",
        Field::HeldOut => "heldout",
        Field::Width => "width",
        Field::Layers => "layers",
        Field::Heads => "heads",
        Field::Context => "context",
        Field::Batch => "batch",
        Field::LearningRate => "lr",
        Field::WeightDecay => "wd",
        Field::Dropout => "dropout",
        Field::InputMask => "inputmask",
        Field::BlockSize => "block",
        Field::Seed => "seed",
    }
}

const SOURCES: [(&str, Source); 4] = [
    ("grids", Source::Grids),
    ("tales", Source::Tales),
    ("markov", Source::Markov),
    ("own", Source::Own),
];

/// The link of a draft, on the page with this address.
pub fn write(home: &str, draft: &Draft) -> String {
    let mut link = format!("{home}#v={VERSION}");
    let source = SOURCES.iter().find(|(_, source)| *source == draft.source);
    if let Some((name, _)) = source {
        link += &format!("&corpus={name}");
    }
    if let (Source::Own, Some(own)) = (draft.source, &draft.own) {
        link += &format!("&hash={}", own.hash);
    }
    if let Some(tokenizer) = &draft.edited.corpus.tokenizer {
        link += &format!("&tokenizer={tokenizer}");
    }
    link += &format!("&second={}", draft.second().name());
    for field in Field::ALL {
        if field.applies(draft) {
            link += &format!("&{}={}", key(field), field.get(draft));
        }
    }
    link
}

/// The settings of a link. What it doesn't name keeps its default.
///
/// # Errors
/// In words, when it is no such link or of a newer kind.
pub fn read(link: &str) -> Result<Draft, String> {
    let link = link.rsplit_once('#').map_or(link, |(_, settings)| settings);
    let pairs: Vec<(&str, &str)> = link
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let value = |wanted: &str| {
        let found = pairs.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| *value)
    };
    match value("v").and_then(|version| version.parse::<u32>().ok()) {
        Some(VERSION) if link.len() <= LONGEST => {}
        Some(newer) if newer > VERSION => {
            return Err(format!(
                "Made by a newer Crossover ({newer}; this reads {VERSION})."
            ));
        }
        _ => return Err("This link holds no settings.".to_owned()),
    }
    let mut draft = Draft::of(Preset::Custom);
    let source =
        value("corpus").and_then(|wanted| SOURCES.iter().find(|(name, _)| *name == wanted));
    if let Some((_, source)) = source {
        draft.take_from(*source);
    }
    let is_name = |name: &str| {
        name.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || ":-".contains(letter))
    };
    if let Some(tokenizer) = value("tokenizer").filter(|name| is_name(name)) {
        draft.edited.corpus.tokenizer = Some(tokenizer.to_owned());
    }
    draft.wanted = value("hash")
        .filter(|hash| is_name(hash))
        .map(str::to_owned);
    if value("second") == Some(Objective::Block.name()) {
        draft.race_against(Objective::Block);
    }
    for field in Field::ALL {
        let number = value(key(field)).and_then(|number| number.parse::<f64>().ok());
        if let Some(number) = number.filter(|number| number.is_finite())
            && field.applies(&draft)
        {
            field.set(&mut draft, number);
        }
    }
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::super::OwnText;
    use super::*;

    #[test]
    fn a_link_restores_every_setting() {
        let mut draft = Draft::of(Preset::Custom);
        draft.take_from(Source::Tales);
        draft.edited.corpus.tokenizer = Some("bpe:512".to_owned());
        draft.race_against(Objective::Block);
        for field in Field::ALL {
            let spec = field.spec(&draft);
            field.set(&mut draft, (spec.least + spec.most) / 3.0);
        }
        let link = write("https://example.org/play/", &draft);
        assert!(link.starts_with("https://example.org/play/#v=1&"), "{link}");
        assert!(link.len() <= LONGEST, "{}", link.len());
        let restored = read(&link).unwrap();
        assert_eq!(restored, draft);
    }

    #[test]
    fn a_link_names_own_text_by_its_hash_only() {
        let mut draft = Draft::of(Preset::Custom);
        draft.take_from(Source::Own);
        draft.own = Some(OwnText {
            name: "diary of a secret.txt".to_owned(),
            path: "runs/texts/diary of a secret.txt".to_owned(),
            bytes: 40_000,
            hash: "abc123".to_owned(),
        });
        let link = write("", &draft);
        assert!(!link.contains("secret"), "{link}");
        let restored = read(&link).unwrap();
        assert_eq!(restored.wanted.as_deref(), Some("abc123"));
        assert_eq!(restored.config(), None);
    }

    #[test]
    fn foreign_links_are_refused_in_words() {
        assert_eq!(
            read("#v=3&x=1").unwrap_err(),
            "Made by a newer Crossover (3; this reads 1)."
        );
        assert_eq!(read("#about").unwrap_err(), "This link holds no settings.");
        // Nonsense in a field leaves its default.
        let draft = read("#v=1&epochs=many&batch=NaN&width=1e9").unwrap();
        assert_eq!(Field::Epochs.get(&draft), 100.0);
        assert_eq!(Field::Width.get(&draft), 384.0);
    }
}
