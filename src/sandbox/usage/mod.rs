//! Pure: the stand-in's usage server: events in, records out, by CloudStack's own rules.

pub mod event;
