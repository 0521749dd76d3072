"""The photo network itself: one slice a feature, each with the same file names.

`types` declare the graph's objects and associations, `actions` write, `queries` read, `views` answer requests,
`forms` check input. Views never write. Slices import downwards only:
feed, profiles, demo > likes, comments > photos > follows > accounts.
"""
