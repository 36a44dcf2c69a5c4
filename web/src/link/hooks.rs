//! For tests in a real browser: ways to break the newest link.

use super::{Order, system};

/// Whether the page's address asks for tests (`?test`).
pub fn enabled() -> bool {
    system::parameter("test").is_some()
}

/// The worker's GPU device is destroyed; on the processor the loss is played.
pub fn lose_device() {
    system::order_newest(Order::LoseDevice);
}

/// The worker's program stops by a panic.
pub fn panic() {
    system::order_newest(Order::Panic);
}

/// From now on the worker finds no room for files.
pub fn fill_storage() {
    system::order_newest(Order::FillStorage);
}

/// The worker is gone without a word.
pub fn terminate() {
    system::terminate_newest();
}
