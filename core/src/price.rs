//! What a model costs, and the cost of one call.
