//! The command line of cidbucket
