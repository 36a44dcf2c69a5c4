//! How a task that lets others run is woken: at once, unless the browser waits already.
//!
//! Within a macrotask no message arrives; between two, even an idle browser spends some time. So the lab's many offers to
//! let others run are taken up every 8 ms only, by a message to ourselves: unlike timers, messages are not throttled in a
//! hidden tab.

use std::cell::RefCell;
use std::task::Waker;

use crossover::platform::{self, Instant};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::MessageChannel;

use super::serve;

/// Seconds of work without looking up.
const BUSY: f64 = 0.008;
/// Seconds on the way, beyond which a message was held up by the browser and not by work.
const HELD_UP: f64 = 5.0;

struct Bell {
    channel: MessageChannel,
    waiting: Vec<Waker>,
    rung: Option<Instant>,
    answered: Instant,
}

thread_local! {
    static BELL: RefCell<Option<Bell>> = const { RefCell::new(None) };
}

/// Makes the lab yield this way.
pub(crate) fn install() -> Result<(), JsValue> {
    let channel = MessageChannel::new()?;
    let heard = Closure::<dyn FnMut()>::new(answer);
    channel
        .port2()
        .set_onmessage(Some(heard.as_ref().unchecked_ref()));
    // It lives as long as the program.
    heard.forget();
    BELL.set(Some(Bell {
        channel,
        waiting: Vec::new(),
        rung: None,
        answered: platform::now(),
    }));
    platform::schedule_by(wake);
    Ok(())
}

fn wake(waker: Waker) {
    let waits = BELL.with_borrow_mut(|bell| {
        let bell = bell.as_mut()?;
        if bell.rung.is_none() && bell.answered.elapsed().as_secs_f64() < BUSY {
            return None;
        }
        bell.waiting.push(waker.clone());
        if bell.rung.is_none() {
            bell.channel.port1().post_message(&JsValue::NULL).ok()?;
            bell.rung = Some(platform::now());
        }
        Some(())
    });
    if waits.is_none() {
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
        (std::mem::take(&mut bell.waiting), held_up)
    });
    if held_up > HELD_UP {
        serve::slept(held_up);
    }
    for waker in wakers {
        waker.wake();
    }
}
