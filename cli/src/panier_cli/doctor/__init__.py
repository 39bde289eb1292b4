"""What `panier doctor` looks at, one module for each part of a deployment. Nothing here changes anything."""
