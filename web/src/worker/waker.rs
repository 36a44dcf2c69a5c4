//! How a task that lets others run is woken: at once, unless the browser waits already.
//!
//! Within a macrotask no message arrives; between two, even an idle browser spends some time. So the lab's many offers to
//! let others run are taken up every 8 ms only, by a message to ourselves: unlike timers, messages are not throttled in a
//! hidden tab.

use std::cell::RefCell;
use std::task::Waker;

use crossover::platform::{self, Instant};
use crossover_web::script::{Channel, sleep};
use js_sys::Array;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use super::serve;

/// Seconds of work without looking up.
const BUSY: f64 = 0.008;
/// Seconds on the way, beyond which a message was held up by the browser and not by work.
const HELD_UP: f64 = 5.0;

/// Most seconds that tasks are held back for others.
const HELD_BACK: f64 = 1.0;

struct Bell {
    channel: Channel,
    waiting: Vec<Waker>,
    /// Since when tasks are held back.
    held: Option<Instant>,
    rung: Option<Instant>,
    answered: Instant,
}

thread_local! {
    static BELL: RefCell<Option<Bell>> = const { RefCell::new(None) };
}

/// Makes the lab yield this way.
pub(crate) fn install() -> Result<(), JsValue> {
    let channel = Channel::new()?;
    let heard = Closure::<dyn FnMut()>::new(answer);
    channel.port2().listen(heard.as_ref().unchecked_ref());
    // It lives as long as the program.
    heard.forget();
    BELL.set(Some(Bell {
        channel,
        waiting: Vec::new(),
        held: None,
        rung: None,
        answered: platform::now(),
    }));
    platform::schedule_by(wake);
    Ok(())
}

fn wake(waker: Waker) {
    let waits = BELL.with_borrow_mut(|bell| {
        let bell = bell.as_mut()?;
        let held = bell
            .held
            .is_some_and(|held| held.elapsed().as_secs_f64() < HELD_BACK);
        if held {
            bell.waiting.push(waker.clone());
            return Some(());
        }
        if bell.rung.is_none() && bell.answered.elapsed().as_secs_f64() < BUSY {
            return None;
        }
        bell.waiting.push(waker.clone());
        if bell.rung.is_none() {
            let port = bell.channel.port1();
            port.post(&JsValue::NULL, &Array::new()).ok()?;
            bell.rung = Some(platform::now());
        }
        Some(())
    });
    if waits.is_none() {
        waker.wake();
    }
}

/// Lets the lab rest while this goes on: between two of its steps the browser would take only one step of ours, and files
/// need many.
pub(crate) async fn first<Work: Future>(work: Work) -> Work::Output {
    hold(Some(platform::now()));
    // Nothing may hold up the lab for long.
    let late = async {
        sleep(HELD_BACK).await;
        hold(None);
    };
    wasm_bindgen_futures::spawn_local(late);
    let done = work.await;
    hold(None);
    done
}

fn hold(since: Option<Instant>) {
    let wakers = BELL.with_borrow_mut(|bell| match bell {
        Some(bell) => {
            bell.held = since;
            match since {
                Some(_) => Vec::new(),
                None => std::mem::take(&mut bell.waiting),
            }
        }
        None => Vec::new(),
    });
    for waker in wakers {
        waker.wake();
    }
}

fn answer() {
    let (wakers, held_up) = BELL.with_borrow_mut(|bell| {
        let Some(bell) = bell else {
            return (Vec::new(), 0.0);
        };
        bell.answered = platform::now();
        let rung = bell.rung.take();
        let held_up = rung.map_or(0.0, |rung| rung.elapsed().as_secs_f64());
        let woken = match bell.held {
            Some(_) => Vec::new(),
            None => std::mem::take(&mut bell.waiting),
        };
        (woken, held_up)
    });
    if held_up > HELD_UP {
        serve::slept(held_up);
    }
    for waker in wakers {
        waker.wake();
    }
}
