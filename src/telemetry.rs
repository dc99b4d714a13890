//! Edge: log fields by the step's verb (to be written).
