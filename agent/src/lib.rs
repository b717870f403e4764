//! zaudit: who made this `Inflater`, and did anybody call `end()`?
#![deny(unsafe_code)]

pub mod classfile;
