//! What a lab reads from its front end and tells it.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use async_channel::{Receiver, Sender};

use crate::device::Selected;
use crate::error::{Error, Result};
use crate::lab::protocol::{Command, Event};
use crate::lab::requests;
use crate::platform;

/// Both ends that the lab holds.
pub(super) struct Control {
    commands: Receiver<Command>,
    events: Sender<Event>,
    /// Whether the run was asked to stop.
    stop: Cell<bool>,
    /// Time for which runs had to wait: held, or while something was done beside them.
    waited: Cell<Duration>,
}

impl Control {
    pub fn new(commands: Receiver<Command>, events: Sender<Event>) -> Self {
        Self {
            commands,
            events,
            stop: Cell::new(false),
            waited: Cell::new(Duration::ZERO),
        }
    }

    /// The next command, when it comes; `None` once nobody can send any.
    pub async fn next(&self) -> Option<Command> {
        self.commands.recv().await.ok()
    }

    /// A run begins, which nobody has asked to stop.
    pub fn begin(&self) {
        self.stop.set(false);
    }

    /// Time for which runs had to wait so far.
    pub fn waited(&self) -> Duration {
        self.waited.get()
    }

    pub fn emit(&self, event: Event) {
        // A front end that went away is no reason to lose the run.
        let _ = self.events.try_send(event);
    }

    /// Does what was asked since the last look, holding a run at `step` where it was asked to. Says whether anything was.
    ///
    /// # Errors
    /// That somebody asked to stop.
    pub async fn check(&self, step: u64, device: &Selected) -> Result<bool> {
        let was_busy = self.attend(step, device).await;
        match self.stop.get() {
            true => Err(Error::interrupted("stopped as asked")),
            false => Ok(was_busy),
        }
    }

    /// Lets a run's long work go on, looking for commands whenever it lets others run. A wish to stop waits for the next
    /// [`Control::check`].
    pub async fn while_working<Work: Future>(
        &self,
        work: Work,
        step: u64,
        device: &Selected,
    ) -> Work::Output {
        let mut work = pin!(work);
        loop {
            if let Poll::Ready(done) =
                poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await
            {
                return done;
            }
            // The work sees to it that this task is woken.
            let mut waited = false;
            poll_fn(|_| match std::mem::replace(&mut waited, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
            self.attend(step, device).await;
        }
    }

    async fn attend(&self, step: u64, device: &Selected) -> bool {
        let began = platform::now();
        let mut was_busy = false;
        while let Ok(command) = self.commands.try_recv() {
            was_busy = true;
            match command {
                Command::Pause => self.hold(step, device).await,
                other => self.beside(other, device).await,
            }
        }
        if was_busy {
            self.waited.set(self.waited.get() + began.elapsed());
        }
        was_busy
    }

    /// Waits until the run may go on.
    async fn hold(&self, step: u64, device: &Selected) {
        self.emit(Event::Paused { step });
        while !self.stop.get() {
            match self.next().await {
                None => self.stop.set(true),
                Some(Command::Continue) => break,
                Some(other) => self.beside(other, device).await,
            }
        }
        self.emit(Event::Continued);
    }

    /// Does what can be done beside a run.
    async fn beside(&self, command: Command, device: &Selected) {
        match command {
            Command::Stop => self.stop.set(true),
            // Boxed: an answer's state is large, and rarely there.
            Command::Ask { request, what } => {
                Box::pin(requests::answer(request, what, device, self)).await;
            }
            Command::Start { folder, .. } | Command::Resume { folder } => {
                self.emit(Event::Notice {
                    message: format!("`{folder}` has to wait: another run is under way"),
                });
            }
            Command::Pause | Command::Continue => {}
        }
    }
}
