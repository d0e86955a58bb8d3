"""The specs that provoke each error code, and what attnc says about them."""
