//! A decision in plain sentences.
