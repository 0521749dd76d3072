from calotype.cli.main import main

main()
