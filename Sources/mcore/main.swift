print("mcore")
