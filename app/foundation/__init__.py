"""What every room stands on and what knows none of them: database, keys, blobs, followers, jobs, errors."""
