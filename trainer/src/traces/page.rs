//! Traces as one page that plays them: no request leaves it, and what a model wrote can't become part of it.

use crossover::sample::Step;
use crossover_report::{escape, theme};
use serde::Serialize;

use super::colours::STOPS;
use super::film::Film;
use super::layout::Layout;

/// What the page's script gets.
#[derive(Serialize)]
struct Data<'a> {
    stops: [[u8; 3]; 5],
    traces: Vec<Story<'a>>,
}

/// A trace without what its lines repeat: a step has its changes, and confidences stand where a token was written.
#[derive(Serialize)]
struct Story<'a> {
    length: usize,
    side: Option<usize>,
    vocab: Option<&'a [String]>,
    given: Vec<usize>,
    /// The tokens before the first step: -1 where masked, null where unknown.
    start: Vec<Option<i64>>,
    /// Columns of each position.
    widths: Vec<usize>,
    steps: Vec<Move>,
}

#[derive(Serialize)]
struct Move {
    t: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    divergence: Option<f64>,
    /// Position, token, confidence in thousandths.
    written: Vec<(usize, i64, u32)>,
    hidden: Vec<usize>,
    /// Thousandths of a nat.
    entropy: Vec<u32>,
    /// Positions whose likeliest tokens are others than a step before, and those with their probabilities in thousandths.
    top: Vec<(usize, Vec<(u32, u32)>)>,
}

impl<'a> Story<'a> {
    fn new(film: &'a Film) -> Self {
        let header = &film.trace.header;
        let mut before: &[Vec<(u32, f32)>] = &[];
        let steps = film.trace.steps.iter().map(|step| {
            let top = step.top.as_deref().unwrap_or_default();
            let change = Move::new(step, before, top);
            before = top;
            change
        });
        Self {
            length: film.length(),
            side: film.side,
            vocab: header.vocab.as_deref(),
            given: (0..film.length())
                .filter(|&position| header.prompt[position] >= 0)
                .collect(),
            start: film
                .tokens(0)
                .iter()
                .map(|&token| (token >= -1).then_some(token))
                .collect(),
            widths: Layout::new(film, usize::MAX).widths,
            steps: steps.collect(),
        }
    }
}

impl Move {
    /// A step, whose likeliest tokens are `top` and those of the step before were `before`.
    fn new(step: &Step, before: &[Vec<(u32, f32)>], top: &[Vec<(u32, f32)>]) -> Self {
        let written = step.committed.iter().map(|&position| {
            let confidence = thousandths(step.confidence[position]);
            (position, step.tokens[position], confidence)
        });
        let changed = (0..top.len()).filter(|&i| before.get(i) != top.get(i));
        let alternatives = changed.map(|position| {
            let pairs = top[position].iter();
            let pairs = pairs.map(|&(id, probability)| (id, thousandths(probability)));
            (position, pairs.collect())
        });
        Self {
            t: step.t,
            divergence: step.divergence,
            written: written.collect(),
            hidden: step.remasked.clone(),
            entropy: step.entropy.iter().copied().map(thousandths).collect(),
            top: alternatives.collect(),
        }
    }
}

fn thousandths(value: f32) -> u32 {
    (value * 1_000.0).round() as u32
}

/// A page with a player for each trace.
pub fn page(films: &[Film]) -> String {
    let data = Data {
        stops: STOPS,
        traces: films.iter().map(Story::new).collect(),
    };
    // Numbers, strings and lists always become JSON.
    let json = serde_json::to_string(&data).unwrap_or_default();
    // In a script element only `<` can begin an end of it, or a comment.
    let json = json.replace('<', "\\u003c");
    let players: String = films
        .iter()
        .enumerate()
        .map(|(index, film)| player(index, film))
        .collect();
    let title = match films {
        [film] => film.name.clone(),
        _ => format!("{} texts, step by step", films.len()),
    };
    let count = if films.len() > 1 { "many" } else { "single" };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{variables}{style}</style>\n</head>\n<body class=\"{count}\">\n\
         <header><p class=\"kicker\">Crossover · how a text was written</p><h1>{title}</h1>\n\
         <p class=\"keys\">Keys: <kbd>Space</kbd> plays, <kbd>,</kbd> <kbd>.</kbd> or <kbd>←</kbd> <kbd>→</kbd> step, \
         <kbd>Home</kbd> <kbd>End</kbd> jump, <kbd>-</kbd> <kbd>+</kbd> change the speed, <kbd>e</kbd> colours by entropy \
         or confidence, arrows in the text move from token to token.</p></header>\n\
         <main class=\"players\">\n{players}</main>\n\
         <footer>Made by crossover {version}. This page loads nothing from anywhere.</footer>\n\
         <script type=\"application/json\" id=\"data\">{json}</script>\n<script>\n{script}</script>\n</body>\n</html>\n",
        title = escape(&title),
        variables = theme::style(),
        style = include_str!("page.css"),
        script = include_str!("page.js"),
        version = env!("CARGO_PKG_VERSION")
    )
}

/// One player: what it is, its controls, and the finished text for who runs no scripts.
fn player(index: usize, film: &Film) -> String {
    let last = film.last();
    format!(
        "<section class=\"player\" aria-labelledby=\"name-{index}\">\n\
         <h2 id=\"name-{index}\">{name}</h2>\n<p class=\"small\">{what}</p>\n\
         <div class=\"controls\" hidden>\n\
         <button type=\"button\" class=\"play\" aria-label=\"Play\">▶</button>\n\
         <button type=\"button\" class=\"back\" aria-label=\"Step back\">◂</button>\n\
         <button type=\"button\" class=\"next\" aria-label=\"Step forward\">▸</button>\n\
         <input type=\"range\" class=\"step\" min=\"0\" max=\"{last}\" value=\"{last}\" aria-label=\"Step\">\n\
         <output class=\"place\"></output>\n\
         <label>Speed <select class=\"speed\"></select></label>\n\
         <label>Colour <select class=\"measure\"><option value=\"confidence\">confidence</option>\
         <option value=\"entropy\">entropy</option></select></label>\n</div>\n\
         <div class=\"stage\" role=\"group\" aria-label=\"Tokens\"></div>\n\
         <p class=\"note small\"></p>\n\
         <p class=\"legend small\" hidden><span><span class=\"cell masked\"></span>masked</span> \
         <span><span class=\"cell remasked\"></span>hidden again</span> \
         <span><span class=\"cell fresh\">a</span>new</span> <span><span class=\"cell given\">a</span>given</span> \
         <span><span class=\"low\"></span><span class=\"bar\"></span><span class=\"high\"></span></span></p>\n\
         <div class=\"history small\" hidden></div>\n\
         <figure class=\"map\" hidden><figcaption>Positions across, steps down. Press a step to go there.</figcaption>\
         <div class=\"frame\"><canvas role=\"img\" aria-label=\"Heat map of {positions} positions over {last} steps\"></canvas>\
         <div class=\"head\"></div></div></figure>\n\
         <p class=\"status\" role=\"status\"></p>\n\
         <details><summary>The finished text</summary><pre>{text}</pre></details>\n\
         <noscript><p class=\"small\">Without scripts, the finished text is all that can be shown.</p></noscript>\n</section>\n",
        name = escape(&film.name),
        what = escape(&film.title()),
        positions = film.length(),
        text = escape(&film.trace.footer.text),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::film::tests::{square, story};
    use super::*;

    fn data(page: &str) -> Value {
        let (_, rest) = page.split_once("id=\"data\">").unwrap();
        let (json, _) = rest.split_once("</script>").unwrap();
        serde_json::from_str(json).unwrap()
    }

    /// The state after each step, played from the page's data as its script does.
    fn played(story: &Value) -> Vec<Vec<Value>> {
        let mut tokens = story["start"].as_array().unwrap().clone();
        let mut states = vec![tokens.clone()];
        for step in story["steps"].as_array().unwrap() {
            for change in step["written"].as_array().unwrap() {
                tokens[change[0].as_u64().unwrap() as usize] = change[1].clone();
            }
            for position in step["hidden"].as_array().unwrap() {
                tokens[position.as_u64().unwrap() as usize] = (-1).into();
            }
            states.push(tokens.clone());
        }
        states
    }

    #[test]
    fn the_page_holds_every_state() {
        let films = [story(), square()];
        let data = data(&page(&films));
        for (film, story) in films.iter().zip(data["traces"].as_array().unwrap()) {
            for (state, tokens) in played(story).iter().enumerate() {
                assert_eq!(tokens, film.tokens(state), "state {state}");
            }
        }
        assert_eq!(data["traces"][1]["side"], 3);
    }

    #[test]
    fn alternatives_stand_where_they_change() {
        let mut film = square();
        for step in &mut film.trace.steps {
            step.top = Some(vec![vec![(0, 0.75), (2, 0.125)]; 9]);
        }
        film.trace.steps[2].top.as_mut().unwrap()[4] = vec![(1, 1.0)];
        let data = data(&page(&[film]));
        let steps = &data["traces"][0]["steps"];
        assert_eq!(steps[0]["top"].as_array().unwrap().len(), 9);
        assert_eq!(
            steps[0]["top"][8],
            serde_json::json!([8, [[0, 750], [2, 125]]])
        );
        assert_eq!(steps[1]["top"], serde_json::json!([]));
        assert_eq!(steps[2]["top"], serde_json::json!([[4, [[1, 1000]]]]));
    }

    #[test]
    fn no_text_breaks_out_of_the_page() {
        let mut film = story();
        let evil = "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>";
        film.name = evil.to_owned();
        film.trace.footer.text = evil.to_owned();
        film.trace.header.sampler.name = evil.to_owned();
        for text in film.trace.header.vocab.iter_mut().flatten() {
            *text = evil.to_owned();
        }
        let page = page(std::slice::from_ref(&film));
        assert!(
            !page.contains("<script>alert") && !page.contains("<img") && !page.contains("<!--")
        );
        assert_eq!(page.matches("</script>").count(), 2);
        assert_eq!(data(&page)["traces"][0]["vocab"][0], evil);
    }

    #[test]
    fn the_page_asks_for_nothing() {
        let page = page(&[story()]);
        for outside in [
            "http:", "https:", "src=", "@import", "url(", "fetch(", "XMLHttp",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("default-src 'none'"));
    }
}
