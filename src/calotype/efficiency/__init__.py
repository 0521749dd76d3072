"""What requests cost, for any Django site: `meter` measures each, `dynostats` records a sample of them."""
