"""The way in for mail servers that ask by milter: Postfix and Sendmail."""
