"""The tuned site under one of the tools that watch requests, each set up as its documentation begins."""
