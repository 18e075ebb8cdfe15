//! What the exported functions need to know of an input's type: what it says of itself, and how one
//! value of it is made.

use std::any::TypeId;

use crate::abi::{Host, Registered, Start, contain};
use crate::input::{Input, Setup};
use crate::instance::{Gauges, Instance};
use crate::log::Logger;

/// What the type says of itself.
#[must_use]
pub fn registered<I: Input>() -> Registered {
    Registered {
        input: TypeId::of::<I>(),
        name: I::NAME,
        description: I::DESCRIPTION,
        options: I::OPTIONS,
    }
}

/// Reads an instance's configuration. `None` once it is logged what is wrong with it. `is_second`:
/// whether this thread has an instance already.
#[must_use]
pub fn start<I: Input>(host: &Host, is_second: bool) -> Option<Start> {
    let logger = Logger::new();
    let start = contain(|| prepare::<I>(host, is_second, &logger));
    let start = start.unwrap_or_else(|panic| {
        logger.error(format_args!("panic while starting: {panic}"));
        None
    });
    logger.print(host);
    start
}

fn prepare<I: Input>(host: &Host, is_second: bool, logger: &Logger) -> Option<Start> {
    if is_second {
        logger.error("with `threaded off` there can be only one of this input: remove it");
        return None;
    }
    let mut setup = Setup::new(host, I::OPTIONS, logger.clone());
    let input = match I::new(&mut setup) {
        Ok(input) => input,
        Err(failure) => {
            logger.error(failure);
            return None;
        }
    };
    let gauges = Gauges::new(&mut setup);
    let plan = setup.finish();
    let work = Box::new(move |outbox| input.run(outbox));
    Some(Box::new(move |host| Box::new(Instance::new(host, plan, gauges, work))))
}
