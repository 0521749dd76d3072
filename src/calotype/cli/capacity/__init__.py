"""`calotype capacity`: what a site of a given size needs, computed from what this program was measured to cost.

`degrees` is the graph of followers, `assumptions` and `costs` are what is put in, `loads` what people do a second,
`fleet` the servers for it, `strategies` and `simulation` how posts reach followers, `tables` what is printed.
"""
