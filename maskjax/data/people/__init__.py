"""People with skin, hair and clothes, before known cameras."""
