//! Pure: (to be written).
