//! Edge: money of those whom a call names, and of those who call.
