"""The rules of approval, pure: data and `now` in, data out, a reason in words with every verdict."""
