"""The pages that people look at: values of the calls, written as HTML."""
