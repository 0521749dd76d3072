"""What other places are told of a post or a person: cards of links, oEmbed, and the sheet that hands out both."""
