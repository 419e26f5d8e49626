//! What the machine can do: the measurements that training is compared with.

mod cores;

pub use cores::ping_pong;
