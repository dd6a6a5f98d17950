"""The Explanation-Consistency Graph."""
